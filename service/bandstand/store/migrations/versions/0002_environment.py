"""What a study was trained with: versions and machine, for its report."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("study", sa.Column("environment", JSONB), schema="bandstand_store")


def downgrade() -> None:
    op.drop_column("study", "environment", schema="bandstand_store")
