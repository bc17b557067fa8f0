"""What a server for a team keeps: submissions and their code, runs and logs, servers, tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
SCHEMA = "bandstand_store"


def upgrade() -> None:
    op.create_table(
        "code",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        _time("created_at"),
        schema=SCHEMA,
    )
    _create_submissions()
    _create_runs()
    op.create_table(
        "server",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, nullable=False),
        _time("started_at"),
        _time("heartbeat_at"),
        schema=SCHEMA,
    )
    op.create_table(
        "token",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        _time("created_at"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        schema=SCHEMA,
    )
    op.create_table(
        "secret",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        schema=SCHEMA,
    )


def _create_submissions() -> None:
    op.create_table(
        "submission",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("submitter", sa.Text, nullable=False),
        sa.Column("code", sa.Text, sa.ForeignKey(f"{SCHEMA}.code.sha256")),
        sa.Column("workers", sa.Integer),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("labels", JSONB, nullable=False, server_default="{}"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False, server_default=""),
        sa.Column("message", sa.Text, nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("not_before", sa.DateTime(timezone=True)),
        sa.Column("server", sa.Text, nullable=False, server_default=""),
        _time("queued_at"),
        _time("created_at"),
        _time("updated_at"),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        schema=SCHEMA,
    )
    op.create_table(
        "submission_study",
        sa.Column("submission_id", sa.BigInteger, _reference("submission.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("study_id", sa.BigInteger, _reference("study.id"), nullable=False, unique=True),
        schema=SCHEMA,
    )


def _create_runs() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("submission_id", sa.BigInteger, _reference("submission.id"), nullable=False, index=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False, server_default=""),
        sa.Column("log_characters", sa.BigInteger, nullable=False, server_default="0"),
        _time("created_at"),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        schema=SCHEMA,
    )
    op.create_table(
        "run_log",
        sa.Column("run_id", sa.Text, _reference("run.id"), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        schema=SCHEMA,
    )


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp())


def _reference(column: str) -> sa.ForeignKey:
    return sa.ForeignKey(f"{SCHEMA}.{column}", ondelete="CASCADE")


def downgrade() -> None:
    for table in ("secret", "token", "server", "run_log", "run", "submission_study", "submission", "code"):
        op.drop_table(table, schema=SCHEMA)
