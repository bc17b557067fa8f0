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
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

__all__ = [
    "CREATE_LOCK",
    "DISPATCH_LOCK",
    "JOB_LOGINS_LOCK",
    "LEASE_CLASS",
    "QUEUE_CHANNEL",
    "SCHEMA",
    "attempt",
    "checkpoint",
    "code",
    "comparison",
    "comparison_study",
    "event",
    "lease",
    "leftover",
    "measurement",
    "metadata",
    "request",
    "run",
    "run_log",
    "secret",
    "server",
    "study",
    "submission",
    "submission_study",
    "token",
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
    Column("state", Text, nullable=False),  # queued, running, stopped, finished, failed
    Column("reason", Text, nullable=False, server_default=""),
    Column("stop_requested", Boolean, nullable=False, server_default="false"),
    Column("wall_seconds", Double, nullable=False, server_default="0"),
    Column("gpu_seconds", Double, nullable=False, server_default="0"),
    Column("model_uri", Text),  # the best trial's model
    Column("model_trial", Integer),
    Column("model_epoch", Integer),  # of that trial, whose weights the model has; none where an earlier release kept it
    Column("test_metrics", JSONB),  # of the model at `tested_uri`, once the search is over
    Column("tested_uri", Text),
    Column("test_looks", Integer, nullable=False, server_default="0"),  # models that the test data were shown to
    Column("environment", JSONB),  # versions and machine of the latest run
    Column("folders", JSONB, nullable=False, server_default="[]"),  # paths and URLs of folders that hold its files
    _now("created_at"),
    _now("updated_at"),
    Column("ended_at", DateTime(timezone=True)),
)

leftover = Table(  # of a study that was deleted: what of its files may still be there
    "leftover",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("folders", JSONB, nullable=False),  # all of Bandstand's files in them can go
    Column("files", JSONB, nullable=False),  # that its rows named, wherever they are
    _now("created_at"),
)

lease = Table(
    "lease",
    metadata,
    _study_id(),
    Column("token", Text, nullable=False),
    Column("holder", Text, nullable=False),  # user@host, process id
    _now("acquired_at"),
    _now("heartbeat_at"),
    Column("pulse", JSONB),  # what the holder counts, see `bandstand.store.monitoring.coordinator_counts`
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

request = Table(  # what users ask of a study; its coordinator takes them in
    "request",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("study_id", BigInteger, ForeignKey(f"{SCHEMA}.study.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", Text, nullable=False),  # extend, enqueue
    Column("data", JSON, nullable=False),  # not JSONB: the order of params is part of it
    Column("by", Text, nullable=False, server_default=""),
    _now("created_at"),
    Column("taken_at", DateTime(timezone=True)),
    Column("answer", Text, nullable=False, server_default=""),  # why it was refused; empty where it was granted
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

code = Table(  # of submissions: a zip archive, known by its content
    "code",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    _now("created_at"),
)

submission = Table(  # what somebody asked a server to run: studies that one job runs in order
    "submission",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("name", Text, nullable=False, unique=True),  # of the study, or of the comparison
    Column("kind", Text, nullable=False),  # study, comparison
    Column("submitter", Text, nullable=False),
    Column("code", Text, ForeignKey(f"{SCHEMA}.code.sha256")),  # none: the cluster has the modules
    Column("workers", Integer),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("labels", JSONB, nullable=False, server_default="{}"),  # of the nodes that may run it
    Column("data_may_differ", Boolean, nullable=False, server_default="false"),  # as of `bandstand run`
    Column("state", Text, nullable=False),  # queued, running, stopping, ended
    Column("outcome", Text, nullable=False, server_default=""),  # of an ended one: finished, failed, stopped
    Column("message", Text, nullable=False, server_default=""),
    Column("attempts", Integer, nullable=False, server_default="0"),  # runs since somebody last asked for it
    Column("not_before", DateTime(timezone=True)),  # back-off
    Column("server", Text, nullable=False, server_default=""),  # whose it is
    _now("queued_at"),
    _now("created_at"),
    _now("updated_at"),
    Column("ended_at", DateTime(timezone=True)),
)

submission_study = Table(
    "submission_study",
    metadata,
    Column("submission_id", BigInteger, ForeignKey(f"{SCHEMA}.submission.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("study_id", BigInteger, ForeignKey(f"{SCHEMA}.study.id", ondelete="CASCADE"), nullable=False, unique=True),
)

run = Table(  # one job on the cluster
    "run",
    metadata,
    Column("id", Text, primary_key=True),  # the job's submission id: nobody can start it twice
    Column(
        "submission_id",
        BigInteger,
        ForeignKey(f"{SCHEMA}.submission.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("number", Integer, nullable=False),  # among the submission's, from 1
    Column("state", Text, nullable=False),  # starting, submitted, running, succeeded, failed, stopped, lost
    Column("message", Text, nullable=False, server_default=""),
    Column("log_characters", BigInteger, nullable=False, server_default="0"),  # of its log, read so far
    _now("created_at"),
    Column("started_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
)

run_log = Table(
    "run_log",
    metadata,
    Column("run_id", Text, ForeignKey(f"{SCHEMA}.run.id", ondelete="CASCADE"), primary_key=True),
    Column("start", BigInteger, primary_key=True),  # characters before this piece
    Column("text", Text, nullable=False),
)

server = Table(  # dispatchers that say that they live
    "server",
    metadata,
    Column("id", Text, primary_key=True),
    Column("place", Text, nullable=False),  # user@host, process id
    _now("started_at"),
    _now("heartbeat_at"),
)

token = Table(  # of users of the server
    "token",
    metadata,
    Column("id", Text, primary_key=True),  # the part that may be shown
    Column("digest", Text, nullable=False),  # SHA-256 of the secret part, which is random and long
    Column("user_name", Text, nullable=False),
    Column("role", Text, nullable=False),  # viewer, submitter, admin
    _now("created_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("revoked_at", DateTime(timezone=True)),
)

secret = Table(  # what all servers of this database share
    "secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

QUEUE_CHANNEL = "bandstand_queue"
"""NOTIFY channel: something was submitted, stopped or resumed."""
LEASE_CLASS = 0x6273746C
"""First key of the advisory lock that a study's writer holds; the second is the study's id."""
CREATE_LOCK = 0x62737463
"""Advisory lock under which studies are created."""
DISPATCH_LOCK = 0x62737464
"""Advisory lock under which submissions are claimed."""
JOB_LOGINS_LOCK = 0x62737465
"""Advisory lock under which the logins of jobs are made and dropped."""
