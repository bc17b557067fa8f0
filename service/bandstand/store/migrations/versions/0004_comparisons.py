"""Comparisons: which strategies, how often, and studies of others that count as theirs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
SCHEMA = "bandstand_store"


def upgrade() -> None:
    op.create_table(
        "comparison",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("arms", sa.JSON, nullable=False),
        sa.Column("repeats", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
        schema=SCHEMA,
    )
    op.create_table(
        "comparison_study",
        sa.Column(
            "comparison_id",
            sa.BigInteger,
            sa.ForeignKey(f"{SCHEMA}.comparison.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("arm", sa.Text, primary_key=True),
        sa.Column("repeat", sa.Integer, primary_key=True),
        sa.Column("study_name", sa.Text, nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in ("comparison_study", "comparison"):
        op.drop_table(table, schema=SCHEMA)
