"""Which folders hold a study's files, and what of deleted studies may still be there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    column = sa.Column("folders", JSONB, nullable=False, server_default="[]")
    op.add_column("study", column, schema="bandstand_store")
    op.create_table(
        "leftover",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("folders", JSONB, nullable=False),
        sa.Column("files", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
        schema="bandstand_store",
    )


def downgrade() -> None:
    op.drop_table("leftover", schema="bandstand_store")
    op.drop_column("study", "folders", schema="bandstand_store")
