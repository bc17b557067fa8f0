"""The tables of Bandstand's own schema, beside Optuna's.

Knows names and types. Must not know how to connect.

`event` and `measurement`, in the order of their shared `seq`, are the truth that a study is rebuilt from; `trial`,
`attempt` and `checkpoint` say the same in a form that is handy to query, and are written in the same transaction.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

__all__ = [
    "CREATE_LOCK",
    "LEASE_CLASS",
    "SCHEMA",
    "attempt",
    "checkpoint",
    "comparison",
    "comparison_study",
    "event",
    "lease",
    "measurement",
    "metadata",
    "study",
    "trial",
]

SCHEMA = "bandstand_store"
"""Not plain `bandstand`: PostgreSQL looks first into the schema that is called like the user, and a user called
bandstand would get Optuna's tables into ours."""
metadata = MetaData(schema=SCHEMA)


def _study_id() -> Column[int]:
    return Column("study_id", BigInteger, ForeignKey(f"{SCHEMA}.study.id", ondelete="CASCADE"), primary_key=True)


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp())


study = Table(
    "study",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("optuna_study_id", Integer, nullable=False),
    Column("spec", JSON, nullable=False),  # not JSONB: the order of a space's parameters is part of it
    Column("state", Text, nullable=False),  # running, stopped, finished, failed
    Column("reason", Text, nullable=False, server_default=""),
    Column("stop_requested", Boolean, nullable=False, server_default="false"),
    Column("wall_seconds", Double, nullable=False, server_default="0"),
    Column("gpu_seconds", Double, nullable=False, server_default="0"),
    Column("model_uri", Text),  # the best trial's model
    Column("model_trial", Integer),
    Column("test_metrics", JSONB),  # of that model, once the search is over
    Column("environment", JSONB),  # versions and machine of the latest run
    _now("created_at"),
    _now("updated_at"),
    Column("ended_at", DateTime(timezone=True)),
)

lease = Table(
    "lease",
    metadata,
    _study_id(),
    Column("token", Text, nullable=False),
    Column("holder", Text, nullable=False),  # user@host, process id
    _now("acquired_at"),
    _now("heartbeat_at"),
)

trial = Table(
    "trial",
    metadata,
    _study_id(),
    Column("number", Integer, primary_key=True),
    Column("params", JSONB, nullable=False),
    Column("bracket", Integer, nullable=False),
    Column("parent", Integer),
    Column("from_epoch", Integer, nullable=False, server_default="0"),  # its own epochs come after it
    Column("origin", Text, nullable=False, server_default=""),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False, server_default=""),
    Column("attempt", Integer, nullable=False),
    Column("epochs", Integer, nullable=False),  # the latest, counted along the lineage
    Column("granted", Integer, nullable=False),
    Column("value", Double),
    Column("best_epoch", Integer, nullable=False),
    _now("created_at"),
    Column("ended_at", DateTime(timezone=True)),
)

attempt = Table(
    "attempt",
    metadata,
    _study_id(),
    Column("trial", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("from_epoch", Integer, nullable=False),
    Column("worker", Text, nullable=False, server_default=""),
    Column("outcome", Text),
    _now("started_at"),
    Column("ended_at", DateTime(timezone=True)),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    _study_id(),
    Column("trial", Integer, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("uri", Text, nullable=False),
    _now("created_at"),
)

measurement = Table(
    "measurement",
    metadata,
    _study_id(),
    Column("trial", Integer, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("value", Double),
    Column("metrics", JSONB, nullable=False),  # values that are not finite are strings: "NaN", "Infinity"
    Column("seconds", Double),
    Column("learning_rate", Double),
    _now("created_at"),
)

event = Table(
    "event",
    metadata,
    _study_id(),
    Column("seq", BigInteger, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("trial", Integer),
    Column("data", JSON, nullable=False),  # not JSONB: the order of params is part of it
    _now("created_at"),
)

comparison = Table(
    "comparison",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("spec", JSON, nullable=False),  # what all arms share
    Column("arms", JSON, nullable=False),
    Column("repeats", Integer, nullable=False),
    _now("created_at"),
)

comparison_study = Table(
    "comparison_study",
    metadata,
    Column("comparison_id", BigInteger, ForeignKey(f"{SCHEMA}.comparison.id", ondelete="CASCADE"), primary_key=True),
    Column("arm", Text, primary_key=True),
    Column("repeat", Integer, primary_key=True),
    Column("study_name", Text, nullable=False),  # of a study run before that counts as the comparison's
)

LEASE_CLASS = 0x6273746C
"""First key of the advisory lock that a study's writer holds; the second is the study's id."""
CREATE_LOCK = 0x62737463
"""Advisory lock under which studies are created."""
