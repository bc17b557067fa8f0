"""Gates: a durable step is held up inside the database, so that somebody can be killed exactly before or after it.

A trigger on each table waits for an advisory lock while its step is wanted. One that fires within the statement holds
the transaction open: if the writer dies there, its backend rolls back, and nothing is stored. One that is deferred
fires during COMMIT: if the writer dies there, the backend commits all the same, and nobody has been told. So the
product has no hook for a storm. Knows PostgreSQL and the names of tables. Must not know who is killed.
"""

from __future__ import annotations

import time
from types import TracebackType

import psycopg

from bandstand.store.tables import SCHEMA

__all__ = ["END_STEPS", "MOMENTS", "STEPS", "Gate", "install"]

MOMENTS = ("before", "after")
_LOCK = (0x73746F72, 1)
_STEPS_OF_EVENTS = (
    "proposed", "promoted", "started", "checkpointed", "decided", "paused", "lost", "ended"
)  # fmt: skip
STEPS = (*_STEPS_OF_EVENTS, "measured", "lease", "forget", "optuna")
"""Events by their kind; a measurement; a lease taken; checkpoints forgotten; Optuna's tables."""
END_STEPS = ("study_ended", "study", "study", "forget", "optuna")
"""Those at a study's end: its event, its own row with model and test result, its checkpoints, Optuna's tables."""
_TABLES = {
    "event": (f"{SCHEMA}.event", "INSERT"),
    "measured": (f"{SCHEMA}.measurement", "INSERT"),
    "lease": (f"{SCHEMA}.lease", "INSERT"),
    "study": (f"{SCHEMA}.study", "UPDATE OF state, model_uri, tested_uri"),
    "forget": (f"{SCHEMA}.checkpoint", "DELETE"),
    "optuna": ("public.trials", "INSERT OR UPDATE"),
}


def install(url: str) -> None:
    """Put the gates, all open, into a database that has Bandstand's schema."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS storm")
        connection.execute("CREATE TABLE IF NOT EXISTS storm.wanted (step text, moment text)")
        connection.execute(
            f"""
            CREATE OR REPLACE FUNCTION storm.gate() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE here text := TG_ARGV[0];
            BEGIN
              IF here = 'event' THEN here := NEW.kind; END IF;
              IF EXISTS (SELECT FROM storm.wanted WHERE step = here AND moment = TG_ARGV[1]) THEN
                PERFORM pg_advisory_xact_lock_shared({_LOCK[0]}, {_LOCK[1]});
              END IF;
              RETURN NULL;
            END $$
            """.encode()
        )
        for step, (table, event) in _TABLES.items():
            for moment in MOMENTS:
                deferred = "DEFERRABLE INITIALLY " + ("DEFERRED" if moment == "after" else "IMMEDIATE")
                connection.execute(f"DROP TRIGGER IF EXISTS storm_{step}_{moment} ON {table}".encode())
                connection.execute(
                    f"CREATE CONSTRAINT TRIGGER storm_{step}_{moment} AFTER {event} ON {table} {deferred} "
                    f"FOR EACH ROW EXECUTE FUNCTION storm.gate('{step}', '{moment}')".encode()
                )


class Gate:
    """One step, held up while the context lasts."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]], step: str, moment: str):
        """`connection` commits by itself."""
        self._connection = connection
        self._step, self._moment = step, moment

    def wait(self, seconds: float) -> bool:
        """Wait until somebody stands at the gate; tells whether anybody does."""
        deadline = time.monotonic() + seconds
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND NOT granted"
        while time.monotonic() < deadline:
            row = self._connection.execute(query, (_LOCK[0],)).fetchone()
            if row is not None and row[0]:
                return True
            time.sleep(0.03)
        return False

    def __enter__(self) -> Gate:
        self._connection.execute("SELECT pg_advisory_lock(%s, %s)", _LOCK)
        self._connection.execute("INSERT INTO storm.wanted VALUES (%s, %s)", (self._step, self._moment))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._connection.execute("DELETE FROM storm.wanted")
            self._connection.execute("SELECT pg_advisory_unlock(%s, %s)", _LOCK)
        except psycopg.OperationalError:
            if kind is None:  # the server was killed, and the lock went with the connection
                raise
