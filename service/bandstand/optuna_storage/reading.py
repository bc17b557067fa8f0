"""The statements that read: a study with all its trials in a fixed number of them, sent together.

Trials are read before what belongs to them, so that a trial is never seen without what it had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import psycopg
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from bandstand.optuna_storage.connection import Connection
from bandstand.optuna_storage.internals import FrozenStudy
from bandstand.optuna_storage.memory import StudyMemory
from bandstand.optuna_storage.values import (
    attribute_from_json,
    distribution_from_json,
    local_from_utc,
    number_from_columns,
)

__all__ = [
    "LARGEST_ID",
    "draw_trial_ids",
    "find_study",
    "find_study_of",
    "hold_study",
    "load_newer_trials",
    "load_studies",
    "load_study",
    "reserve_study",
    "study_exists",
]

LARGEST_ID = 2**31 - 1
"""Ids are int4. It closes the range of ids, which the planner takes for a narrow one and answers from the index, even
before it has statistics; half a range it takes for a third of the table."""
_TRIALS = """
    SELECT trial_id, number, state::text, datetime_start, datetime_complete FROM trials
    WHERE study_id = %s AND trial_id BETWEEN %s AND %s ORDER BY trial_id
"""
_OF_TRIALS = """
    SELECT trial_id, {columns} FROM {table} JOIN trials USING (trial_id)
    WHERE study_id = %s AND trial_id BETWEEN %s AND %s {{which}} ORDER BY {order}
"""
_UNFINISHED = "AND state IN ('RUNNING', 'WAITING')"
_UNFINISHED_OR_KEY = "AND (state IN ('RUNNING', 'WAITING') OR key = %s)"
_PARAMS = _OF_TRIALS.format(
    table="trial_params", columns="param_name, param_value, distribution_json", order="param_id"
)
_VALUES = _OF_TRIALS.format(
    table="trial_values", columns="objective, value, value_type::text", order="trial_id, objective"
)
_INTERMEDIATE_VALUES = _OF_TRIALS.format(
    table="trial_intermediate_values",
    columns="step, intermediate_value, intermediate_value_type::text",
    order="trial_intermediate_value_id",
)
_USER_ATTRS, _SYSTEM_ATTRS = (
    _OF_TRIALS.format(table=f"trial_{kind}_attributes", columns="key, value_json", order=f"trial_{kind}_attribute_id")
    for kind in ("user", "system")
)
Rows = Iterable[tuple[Any, ...]]


def find_study(connection: Connection, name: str) -> int | None:
    """The id of the study with a name."""
    row = connection.execute("SELECT study_id FROM studies WHERE study_name = %s", [name]).fetchone()
    return None if row is None else int(row[0])


def find_study_of(connection: Connection, trial_id: int) -> int | None:
    """The id of the study that a trial belongs to."""
    row = connection.execute("SELECT study_id FROM trials WHERE trial_id = %s", [trial_id]).fetchone()
    return None if row is None else int(row[0])


def study_exists(connection: Connection, study_id: int) -> bool:
    """Whether there is a study with an id."""
    return connection.execute("SELECT FROM studies WHERE study_id = %s", [study_id]).rowcount == 1


def load_studies(connection: Connection) -> list[FrozenStudy]:
    """All studies, without their trials, in the order of their ids."""
    return [study.frozen() for study in _studies(connection, None)]


def load_study(connection: Connection, study_id: int, only_key: str | None = None) -> StudyMemory | None:
    """A study with all its trials; None where there is no such study. `only_key`: as of `load_newer_trials`."""
    for study in _studies(connection, study_id):
        for trial in load_newer_trials(connection, study_id, -1, only_key):
            study.add(trial)
        return study
    return None


def load_newer_trials(
    connection: Connection, study_id: int, after_id: int, only_key: str | None = None
) -> list[FrozenTrial]:
    """The trials of a study whose ids are larger, in the order of their ids.

    Args:
        connection: to read by.
        study_id: the study.
        after_id: the last id that is known.
        only_key: the user attribute that is all that is read of a finished trial; None: everything is.
    """
    of_study = [study_id, after_id + 1, LARGEST_ID]
    statements = (_PARAMS, _VALUES, _INTERMEDIATE_VALUES, _USER_ATTRS, _SYSTEM_ATTRS)
    with connection.pipeline():
        cursors = [connection.execute(_TRIALS, of_study)]
        for statement in statements:
            if only_key is None:
                cursors.append(connection.execute(statement.format(which=""), of_study))
            elif statement is _USER_ATTRS:
                cursors.append(connection.execute(statement.format(which=_UNFINISHED_OR_KEY), [*of_study, only_key]))
            else:
                cursors.append(connection.execute(statement.format(which=_UNFINISHED), of_study))
    return _trials(*cursors)


def hold_study(connection: Connection, study_id: int, after_id: int) -> list[int] | None:
    """Keep everybody else from adding trials to a study until the transaction ends.

    Returns:
        The ids of its trials that are larger than one; None where there is no such study.
    """
    with connection.pipeline():
        # Not the stronger lock that Optuna takes: the dashboard's notes would have to wait for it.
        held = connection.execute("SELECT study_id FROM studies WHERE study_id = %s FOR NO KEY UPDATE", [study_id])
        newer = connection.execute(
            "SELECT trial_id FROM trials WHERE study_id = %s AND trial_id BETWEEN %s AND %s ORDER BY trial_id",
            [study_id, after_id + 1, LARGEST_ID],
        )
    return None if held.fetchone() is None else [trial_id for (trial_id,) in newer]


def draw_trial_ids(connection: Connection, count: int) -> list[int]:
    """Ids for new trials, which nobody else is given."""
    sequence = "SELECT nextval(pg_get_serial_sequence('trials', 'trial_id')) FROM generate_series(1, %s)"
    return sorted(trial_id for (trial_id,) in connection.execute(sequence, [count]))


def reserve_study(connection: Connection, name: str) -> int | None:
    """An id for a new study; None where its name is taken."""
    if find_study(connection, name) is not None:
        return None
    row = connection.execute("SELECT nextval(pg_get_serial_sequence('studies', 'study_id'))").fetchone()
    assert row is not None
    return int(row[0])


def _studies(connection: Connection, study_id: int | None) -> list[StudyMemory]:
    which = "WHERE study_id = %(id)s::int OR %(id)s::int IS NULL"
    with connection.pipeline():
        names, directions, user_attrs, system_attrs = (
            connection.execute(f"SELECT study_id, {columns} FROM {table} {which} ORDER BY study_id", {"id": study_id})
            for table, columns in (
                ("studies", "study_name"),
                ("study_directions", "direction::text, objective"),
                ("study_user_attributes", "key, value_json"),
                ("study_system_attributes", "key, value_json"),
            )
        )
    studies = {key: StudyMemory(study_id=key, name=name, directions=()) for key, name in names}
    for key, direction, _ in sorted(directions, key=lambda row: (row[0], row[2])):
        if key in studies:
            studies[key].directions.append(StudyDirection[direction])
    for cursor, kind in ((user_attrs, "user_attrs"), (system_attrs, "system_attrs")):
        for key, name, text in cursor:
            if key in studies:
                getattr(studies[key], kind)[name] = text
    return list(studies.values())


def _trials(
    trials: psycopg.Cursor[Any], params: Rows, values: Rows, intermediate_values: Rows, user_attrs: Rows, system: Rows
) -> list[FrozenTrial]:
    external, distributions = _params(params)
    objectives: dict[int, list[float]] = defaultdict(list)
    for trial_id, _, value, value_type in values:
        objectives[trial_id].append(number_from_columns(value, value_type))
    steps: dict[int, dict[int, float]] = defaultdict(dict)
    for trial_id, step, value, value_type in intermediate_values:
        steps[trial_id][step] = number_from_columns(value, value_type)
    users, systems = _attrs(user_attrs), _attrs(system)
    return [
        FrozenTrial(
            trial_id=trial_id,
            number=number,
            state=TrialState[state],
            value=None,
            values=objectives.get(trial_id),
            datetime_start=local_from_utc(start),
            datetime_complete=local_from_utc(complete),
            params=external.get(trial_id, {}),
            distributions=distributions.get(trial_id, {}),
            user_attrs=users.get(trial_id, {}),
            system_attrs=systems.get(trial_id, {}),
            intermediate_values=steps.get(trial_id, {}),
        )
        for trial_id, number, state, start, complete in trials
    ]


def _params(rows: Rows) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, Any]]]:
    external: dict[int, dict[str, Any]] = defaultdict(dict)
    distributions: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial_id, name, value, text in rows:
        distribution = distribution_from_json(text)
        external[trial_id][name] = distribution.to_external_repr(value)
        distributions[trial_id][name] = distribution
    return external, distributions


def _attrs(rows: Rows) -> dict[int, dict[str, Any]]:
    attrs: dict[int, dict[str, Any]] = defaultdict(dict)
    for trial_id, key, text in rows:
        attrs[trial_id][key] = attribute_from_json(text)
    return attrs
