"""Where a trial comes from: its parent, the epoch it began at, and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("trial", sa.Column("parent", sa.Integer), schema="bandstand_store")
    for name, kind, default in (("from_epoch", sa.Integer, "0"), ("origin", sa.Text, "")):
        column = sa.Column(name, kind, nullable=False, server_default=default)
        op.add_column("trial", column, schema="bandstand_store")


def downgrade() -> None:
    for name in ("parent", "from_epoch", "origin"):
        op.drop_column("trial", name, schema="bandstand_store")
