"""The statements that write a batch: one for each table, however many rows, all sent before any answer is awaited.

Rows go as arrays to `unnest`, in a statement whose text never changes, so that the server has it prepared; texts go in
binary (%b), which spares their quoting. COPY takes a third less time a row, but cannot be sent ahead of answers, and
cannot be repeated when it is not known whether a commit was the last thing that a broken connection did. Every
statement here can.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from bandstand.optuna_storage.connection import Connection
from bandstand.optuna_storage.pending import Pending

__all__ = ["OverwriteError", "delete_study", "write"]

_STUDIES = """
    INSERT INTO studies (study_id, study_name)
    SELECT * FROM unnest(%s::int[], %b::text[]) ON CONFLICT (study_id) DO NOTHING
"""
_DIRECTIONS = """
    INSERT INTO study_directions (study_id, objective, direction)
    SELECT study_id, objective, direction::studydirection
    FROM unnest(%s::int[], %s::int[], %b::text[]) AS row (study_id, objective, direction)
    ON CONFLICT (study_id, objective) DO NOTHING
"""
_STUDY_ATTRS = {
    kind: f"""
    INSERT INTO study_{kind}_attributes AS there (study_id, key, value_json) VALUES (%(study_id)s, %(key)s, %(text)s)
    ON CONFLICT (study_id, key) DO UPDATE SET value_json = excluded.value_json
    WHERE there.value_json = %(known)s::text OR there.value_json = excluded.value_json
    """
    for kind in ("user", "system")
}
"""No row is written where somebody else has changed the attribute since it was read."""
_OLD_TRIALS = """
    SELECT trial_id FROM trials
    JOIN unnest(%s::int[], %b::text[], %s::timestamp[]) AS row (trial_id, state, datetime_complete) USING (trial_id)
    WHERE trials.state IN ('RUNNING', 'WAITING')
        OR (trials.state::text = row.state AND trials.datetime_complete = row.datetime_complete)
    ORDER BY trial_id FOR NO KEY UPDATE OF trials
"""
"""Trials that nobody has finished; or that this very batch has, in a commit whose success was not heard of."""
_NEW_TRIALS = """
    INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete)
    SELECT trial_id, number, study_id, state::trialstate, datetime_start, datetime_complete
    FROM unnest(%s::int[], %s::int[], %s::int[], %b::text[], %s::timestamp[], %s::timestamp[])
        AS row (trial_id, number, study_id, state, datetime_start, datetime_complete)
    ON CONFLICT (trial_id) DO UPDATE SET state = excluded.state
    WHERE trials.study_id = excluded.study_id AND trials.number = excluded.number
"""
_STATES = """
    UPDATE trials
    SET state = row.state::trialstate,
        datetime_start = coalesce(row.datetime_start, trials.datetime_start),
        datetime_complete = coalesce(row.datetime_complete, trials.datetime_complete)
    FROM unnest(%s::int[], %b::text[], %s::timestamp[], %s::timestamp[])
        AS row (trial_id, state, datetime_start, datetime_complete)
    WHERE trials.trial_id = row.trial_id
"""
_PARAMS = """
    INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
    SELECT * FROM unnest(%s::int[], %b::text[], %s::float8[], %b::text[]) ON CONFLICT (trial_id, param_name) DO NOTHING
"""
_VALUES = """
    INSERT INTO trial_values (trial_id, objective, value, value_type)
    SELECT trial_id, objective, value, value_type::trialvaluetype
    FROM unnest(%s::int[], %s::int[], %s::float8[], %b::text[]) AS row (trial_id, objective, value, value_type)
    ON CONFLICT (trial_id, objective) DO UPDATE SET value = excluded.value, value_type = excluded.value_type
"""
_INTERMEDIATE_VALUES = """
    INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)
    SELECT trial_id, step, value, value_type::trialintermediatevaluetype
    FROM unnest(%s::int[], %s::int[], %s::float8[], %b::text[]) AS row (trial_id, step, value, value_type)
    ON CONFLICT (trial_id, step) DO UPDATE
    SET intermediate_value = excluded.intermediate_value, intermediate_value_type = excluded.intermediate_value_type
"""
_TRIAL_ATTRS = {
    kind: f"""
    INSERT INTO trial_{kind}_attributes (trial_id, key, value_json)
    SELECT * FROM unnest(%s::int[], %b::text[], %b::text[])
    ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json
    """
    for kind in ("user", "system")
}
_TRIAL_TABLES = (
    "trial_user_attributes",
    "trial_system_attributes",
    "trial_params",
    "trial_values",
    "trial_intermediate_values",
    "trial_heartbeats",
)
_STUDY_TABLES = ("trials", "study_user_attributes", "study_system_attributes", "study_directions", "studies")


class OverwriteError(Exception):
    """A batch would have changed what somebody else has written or deleted meanwhile; its message says what."""


def write(connection: Connection, pending: Pending) -> None:
    """Send a batch into the open transaction; harmless to repeat.

    Raises:
        OverwriteError: somebody else finished or deleted a trial, or changed an attribute.
        psycopg.errors.ForeignKeyViolation: somebody else deleted a study or a trial.
        psycopg.errors.UniqueViolation: the name of a new study is taken.
    """
    expected: list[tuple[psycopg.Cursor[tuple[Any, ...]], int, str]] = []
    with connection.pipeline():
        _send_studies(connection, pending, expected)
        _send_trials(connection, pending, expected)
        for statement, rows in (
            (_PARAMS, pending.params),
            (_VALUES, pending.values),
            (_INTERMEDIATE_VALUES, pending.intermediate_values),
        ):
            _send(connection, statement, ((*key, *columns) for key, columns in rows.items()))
        for kind, texts in pending.trial_attrs.items():
            _send(connection, _TRIAL_ATTRS[kind], ((*key, text) for key, text in texts.items()))
    for cursor, count, what in expected:
        if cursor.rowcount != count:
            raise OverwriteError(what)


def _send_studies(connection: Connection, pending: Pending, expected: list[Any]) -> None:
    _send(connection, _STUDIES, ((study_id, name) for study_id, (name, _) in pending.studies.items()))
    directions = (
        (study_id, objective, direction.name)
        for study_id, (_, directions) in pending.studies.items()
        for objective, direction in enumerate(directions)
    )
    _send(connection, _DIRECTIONS, directions)
    for (kind, study_id, key), (text, known) in pending.study_attrs.items():
        row = {"study_id": study_id, "key": key, "text": text, "known": known}
        expected.append((connection.execute(_STUDY_ATTRS[kind], row), 1, f"the study's attribute {key!r} was changed"))


def _send_trials(connection: Connection, pending: Pending, expected: list[Any]) -> None:
    unchanged = ("", None, None)
    old = [(trial_id, *pending.states.get(trial_id, unchanged)) for trial_id in pending.old_trials]
    sent = _send(connection, _OLD_TRIALS, ((trial_id, state, complete) for trial_id, state, _, complete in old))
    expected.extend((cursor, len(old), "a trial of it was finished or deleted") for cursor in sent)
    _send(connection, _STATES, (row for row in old if row[0] in pending.states))
    new = [(trial_id, *own, *pending.states[trial_id]) for trial_id, own in pending.new_trials.items()]
    sent = _send(connection, _NEW_TRIALS, new)
    expected.extend((cursor, len(new), "a trial's id was given out twice") for cursor in sent)


def _send(
    connection: Connection, statement: str, rows: Iterable[Sequence[Any]]
) -> list[psycopg.Cursor[tuple[Any, ...]]]:
    """Send a statement with the columns of its rows; nothing where there are none."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return [connection.execute(statement, columns)] if columns else []


def delete_study(connection: Connection, study_id: int) -> None:
    """Delete a study with all that belongs to it, in the open transaction; harmless to repeat."""
    with connection.pipeline():
        connection.execute("SELECT FROM studies WHERE study_id = %s FOR UPDATE", [study_id])
        for table in _TRIAL_TABLES:
            statement = f"DELETE FROM {table} WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = %s)"
            connection.execute(statement, [study_id])
        for table in _STUDY_TABLES:
            connection.execute(f"DELETE FROM {table} WHERE study_id = %s", [study_id])
