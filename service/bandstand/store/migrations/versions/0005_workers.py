"""Which worker had an attempt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    column = sa.Column("worker", sa.Text, nullable=False, server_default="")
    op.add_column("attempt", column, schema="bandstand_store")


def downgrade() -> None:
    op.drop_column("attempt", "worker", schema="bandstand_store")
