"""The rows of one batch that are still to be written, each of them once: the last word on a cell wins.

Knows the columns of Optuna's tables. Must not know a connection.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from bandstand.optuna_storage.internals import trial_id_of
from bandstand.optuna_storage.values import columns_from_intermediate, columns_from_value, utc_from_local

__all__ = ["Pending"]


@dataclasses.dataclass(kw_only=True, slots=True)
class Pending:
    """A batch. Dicts keep the order of the calls, which is the order of the rows' own ids."""

    studies: dict[int, tuple[str, Sequence[StudyDirection]]] = dataclasses.field(default_factory=dict)
    """New studies: id -> (name, directions)."""
    study_attrs: dict[tuple[str, int, str], tuple[str, str | None]] = dataclasses.field(default_factory=dict)
    """(kind, study id, key) -> (text, the text that the database is known to hold, None for none)."""
    new_trials: dict[int, tuple[int, int]] = dataclasses.field(default_factory=dict)
    """Trial id -> (number, study id)."""
    old_trials: dict[int, None] = dataclasses.field(default_factory=dict)
    """Ids of trials that are in the database, unfinished, and of which something is written."""
    states: dict[int, tuple[str, datetime | None, datetime | None]] = dataclasses.field(default_factory=dict)
    """Trial id -> (state, datetime_start, datetime_complete); None for what stays as it is."""
    params: dict[tuple[int, str], tuple[float, str]] = dataclasses.field(default_factory=dict)
    """(trial id, name) -> (internal value, distribution)."""
    values: dict[tuple[int, int], tuple[float | None, str]] = dataclasses.field(default_factory=dict)
    """(trial id, objective) -> (value, type)."""
    intermediate_values: dict[tuple[int, int], tuple[float | None, str]] = dataclasses.field(default_factory=dict)
    """(trial id, step) -> (value, type)."""
    trial_attrs: dict[str, dict[tuple[int, str], str]] = dataclasses.field(
        default_factory=lambda: {"user": {}, "system": {}}
    )
    """Kind -> (trial id, key) -> text."""
    touched: set[int] = dataclasses.field(default_factory=set)
    """Ids of the studies that anything is written of."""
    held: dict[int, tuple[int, int]] = dataclasses.field(default_factory=dict)
    """Studies whose rows are locked, so that nobody else adds a trial: id -> (last trial's id before the batch, the
    generation of the connection that holds the lock)."""

    def add_study(self, study_id: int, name: str, directions: Sequence[StudyDirection]) -> None:
        """A new study."""
        self.touched.add(study_id)
        self.studies[study_id] = (name, directions)

    def set_study_attr(self, kind: str, study_id: int, key: str, text: str, known: str | None) -> None:
        """An attribute of a study; `known` is the text before."""
        self.touched.add(study_id)
        first = self.study_attrs.get((kind, study_id, key))
        self.study_attrs[kind, study_id, key] = (text, known if first is None else first[1])

    def add_trial(self, study_id: int, trial: FrozenTrial) -> None:
        """A new trial's own row; what belongs to it follows by the other methods."""
        self.touched.add(study_id)
        trial_id = trial_id_of(trial)
        self.new_trials[trial_id] = (trial.number, study_id)
        moments = utc_from_local(trial.datetime_start), utc_from_local(trial.datetime_complete)
        self.states[trial_id] = (trial.state.name, *moments)

    def touch_trial(self, study_id: int, trial_id: int) -> None:
        """Say that something is about to be written of a trial."""
        self.touched.add(study_id)
        if trial_id not in self.new_trials:
            self.old_trials[trial_id] = None

    def set_state(self, trial_id: int, state: TrialState, now: datetime) -> None:
        """A trial's state, since now; a datetime that this does not concern is left as it is."""
        _, start, complete = self.states.get(trial_id, ("", None, None))
        if state is TrialState.RUNNING:
            start = utc_from_local(now)
        if state.is_finished():
            complete = utc_from_local(now)
        self.states[trial_id] = (state.name, start, complete)

    def set_values(self, trial_id: int, values: Sequence[float]) -> None:
        """A trial's objective values."""
        for objective, value in enumerate(values):
            self.values[trial_id, objective] = columns_from_value(value)

    def set_intermediate_value(self, trial_id: int, step: int, value: float) -> None:
        """One value on the way."""
        self.intermediate_values[trial_id, step] = columns_from_intermediate(value)
