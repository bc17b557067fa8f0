"""Whether the latest run of a submission takes trainers whose data are not those of the study's first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    column = sa.Column("data_may_differ", sa.Boolean, nullable=False, server_default="false")
    op.add_column("submission", column, schema="bandstand_store")


def downgrade() -> None:
    op.drop_column("submission", "data_may_differ", schema="bandstand_store")
