"""The row of a study: found, made, held by its one writer, deleted.

Knows the tables and the locks on them. Must not know connections, nor what a study does.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.errors import StudyDeletedError, StudyInUseError, StudyNameTakenError, StudyNotFoundError
from bandstand.store import tables
from bandstand.store.rows.folder_rows import leave
from bandstand.study.study_spec import StudySpec

__all__ = [
    "delete_row",
    "find_or_create",
    "find_row",
    "get_row",
    "has_work",
    "missing_study",
    "try_to_hold",
    "wait_to_hold",
]

_KILLED_HOLDER_SECONDS = 8.0
"""How long a claim waits for a lease: PostgreSQL may need a moment to notice that a killed holder is gone."""
_OF_NAME = sa.select(tables.study).where(tables.study.c.name == sa.bindparam("name"))
Row = sa.Row[tuple[object, ...]]


def get_row(connection: Connection, name: str) -> Row:
    """The row of the study of this name.

    Raises:
        StudyNotFoundError: there is none.
    """
    row = connection.execute(_OF_NAME, {"name": name}).one_or_none()
    if row is None:
        raise missing_study(connection, name, "in this database", _way_out(connection))
    return row


def missing_study(connection: Connection, name: str, where: str, way_out: str) -> StudyNotFoundError:
    """The error for a name that no study has; it says so if a comparison has the name."""
    if connection.execute(sa.select(tables.comparison.c.id).where(tables.comparison.c.name == name)).first():
        return StudyNotFoundError(
            f"{name!r} is a comparison, not a study; `bandstand report {shlex.quote(name)} -o report.html` shows it"
        )
    return StudyNotFoundError(f"there is no study {name!r} {where}; {way_out}")


def _way_out(connection: Connection) -> str:
    known = list(connection.execute(sa.select(tables.study.c.name).order_by(tables.study.c.id.desc()).limit(5)))
    names = ", ".join(repr(study.name) for study in known)
    return (
        f"the latest are {names}; `bandstand list` shows all"
        if names
        else "it has no studies yet: `bandstand run FILE` runs one"
    )


def find_row(connection: Connection, spec: StudySpec) -> Row | None:
    """The row of this study, if there is one.

    Raises:
        StudyNameTakenError: the name belongs to another spec.
    """
    row = connection.execute(_OF_NAME, {"name": spec.name}).one_or_none()
    if row is None:
        return None
    differences = spec.differences(StudySpec.model_validate(row.spec))
    if differences:
        more = differences[0].startswith("budget:") and len(differences) == 1
        way = ", or raise its budget with `bandstand extend`" if more else ""
        raise StudyNameTakenError(
            f"a name belongs to one study; {spec.name!r} exists with other settings ({'; '.join(differences)}): "
            f"give this one a new name{way}",
            differences,
        )
    return row


def find_or_create(connection: Connection, spec: StudySpec, create_in_optuna: Callable[[], int], state: str) -> int:
    """The id of this study, which is created where there is none.

    Args:
        connection: in a transaction that holds `CREATE_LOCK`.
        spec: the study.
        create_in_optuna: creates the study in Optuna's tables; returns its id there.
        state: of a new one.

    Raises:
        StudyNameTakenError: the name belongs to another spec, or to an Optuna study that is not ours.
        StudyDeletedError: this connection may make none, because it is a job's.
    """
    row = find_row(connection, spec)
    if row is not None:
        return int(row._mapping["id"])
    if connection.execute(sa.text(f"SELECT {tables.SCHEMA}.is_job()")).scalar():
        raise StudyDeletedError(
            f"a study of a server must be there when its job begins; {spec.name!r} was deleted: submit it again"
        )
    values = {
        "name": spec.name,
        "spec": spec.model_dump(mode="json"),
        "state": state,
        "optuna_study_id": create_in_optuna(),
    }
    return int(connection.execute(sa.insert(tables.study).values(values).returning(tables.study.c.id)).scalar_one())


def has_work(connection: Connection, study: Row) -> bool:
    """Whether there is anything left to do for the study of this row."""
    if study._mapping["state"] != "finished":
        return True
    asked = tables.request.c
    query = sa.select(asked.id).where(asked.study_id == study._mapping["id"], asked.taken_at.is_(None)).limit(1)
    return connection.execute(query).scalar() is not None


def try_to_hold(connection: Connection, study_id: int) -> bool:
    """Take the lock of a study's one writer for as long as the connection lasts, if nobody has it."""
    return bool(connection.execute(sa.select(sa.func.pg_try_advisory_lock(tables.LEASE_CLASS, study_id))).scalar())


def wait_to_hold(connection: Connection, study_id: int) -> None:
    """As `try_to_hold`, waiting for a moment where somebody has it.

    Raises:
        StudyInUseError: somebody keeps it.
    """
    deadline = time.monotonic() + _KILLED_HOLDER_SECONDS
    while not try_to_hold(connection, study_id):
        if time.monotonic() > deadline:
            lease = tables.lease.c
            query = sa.select(lease.holder, lease.acquired_at).where(lease.study_id == study_id)
            holder = connection.execute(query).one_or_none()
            since = f"{holder.acquired_at:%Y-%m-%d %H:%M:%S %Z}" if holder else ""
            who = f"{holder.holder} runs this one since {since}" if holder else "another one runs this study"
            raise StudyInUseError(
                f"only one coordinator at a time can run a study; {who}: wait for it, or stop it with `bandstand stop`"
            )
        time.sleep(0.2)
    connection.commit()  # the lock belongs to the session, not to this transaction


def delete_row(connection: Connection, name: str) -> int | None:
    """Delete a study from our tables, within the connection's transaction.

    Returns:
        The id of the note of its files, for `remove_leftovers`; None if it has none.

    Raises:
        StudyNotFoundError: there is none of this name.
        StudyInUseError: somebody runs it.
    """
    study_id = int(get_row(connection, name)._mapping["id"])
    locked = sa.select(sa.func.pg_try_advisory_xact_lock(tables.LEASE_CLASS, study_id))
    if not connection.execute(locked).scalar():
        raise StudyInUseError(
            f"a running study cannot be deleted; {name!r} runs now: stop it first with `bandstand stop`"
        )
    left = leave(connection, study_id)
    connection.execute(sa.delete(tables.study).where(tables.study.c.id == study_id))
    return left
