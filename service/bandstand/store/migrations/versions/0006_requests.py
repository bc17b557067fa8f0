"""What users ask of a study that exists; how often its test data were looked at; the coordinator's pulse."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
SCHEMA = "bandstand_store"


def upgrade() -> None:
    op.create_table(
        "request",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column(
            "study_id",
            sa.BigInteger,
            sa.ForeignKey(f"{SCHEMA}.study.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("by", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("taken_at", sa.DateTime(timezone=True)),
        sa.Column("answer", sa.Text, nullable=False, server_default=""),
        schema=SCHEMA,
    )
    op.add_column("lease", sa.Column("pulse", JSONB), schema=SCHEMA)
    op.add_column("study", sa.Column("tested_uri", sa.Text), schema=SCHEMA)
    op.add_column("study", sa.Column("test_looks", sa.Integer, nullable=False, server_default="0"), schema=SCHEMA)
    op.execute(f"UPDATE {SCHEMA}.study SET tested_uri = model_uri, test_looks = 1 WHERE test_metrics IS NOT NULL")


def downgrade() -> None:
    op.drop_column("study", "test_looks", schema=SCHEMA)
    op.drop_column("study", "tested_uri", schema=SCHEMA)
    op.drop_column("lease", "pulse", schema=SCHEMA)
    op.drop_table("request", schema=SCHEMA)
