"""Studies, leases, trials, attempts, checkpoints, measurements and the event log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

SCHEMA = "bandstand_store"


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp())


def _later(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True))


def _of_study(table: str, *columns: sa.Column[object], key: tuple[str, ...] = ()) -> None:
    op.create_table(
        table,
        sa.Column("study_id", sa.BigInteger, sa.ForeignKey(f"{SCHEMA}.study.id", ondelete="CASCADE"), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("study_id", *key),
        schema=SCHEMA,
    )


def upgrade() -> None:
    op.create_table(
        "study",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("optuna_study_id", sa.Integer, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("stop_requested", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("wall_seconds", sa.Double, nullable=False, server_default="0"),
        sa.Column("gpu_seconds", sa.Double, nullable=False, server_default="0"),
        sa.Column("model_uri", sa.Text),
        sa.Column("model_trial", sa.Integer),
        sa.Column("test_metrics", JSONB),
        _now("created_at"),
        _now("updated_at"),
        _later("ended_at"),
        schema=SCHEMA,
    )
    _of_study(
        "lease",
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        _now("acquired_at"),
        _now("heartbeat_at"),
    )
    _of_study(
        "trial",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("params", JSONB, nullable=False),
        sa.Column("bracket", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False, server_default=""),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("epochs", sa.Integer, nullable=False),
        sa.Column("granted", sa.Integer, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("best_epoch", sa.Integer, nullable=False),
        _now("created_at"),
        _later("ended_at"),
        key=("number",),
    )
    _of_study(
        "attempt",
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("from_epoch", sa.Integer, nullable=False),
        sa.Column("outcome", sa.Text),
        _now("started_at"),
        _later("ended_at"),
        key=("trial", "attempt"),
    )
    _of_study(
        "checkpoint",
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("uri", sa.Text, nullable=False),
        _now("created_at"),
        key=("trial", "epoch"),
    )
    _of_study(
        "measurement",
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("metrics", JSONB, nullable=False),
        sa.Column("seconds", sa.Double),
        sa.Column("learning_rate", sa.Double),
        _now("created_at"),
        key=("trial", "epoch"),
    )
    _of_study(
        "event",
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("trial", sa.Integer),
        sa.Column("data", sa.JSON, nullable=False),
        _now("created_at"),
        key=("seq",),
    )


def downgrade() -> None:
    for table in ("event", "measurement", "checkpoint", "attempt", "trial", "lease", "study"):
        op.drop_table(table, schema=SCHEMA)
