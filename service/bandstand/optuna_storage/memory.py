"""What the storage knows of its studies: each trial as a value that is replaced, never changed.

So what a reader was given stays as it was, which is what Optuna asks of a storage. Knows no database.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Iterable, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from bandstand.optuna_storage.internals import FrozenStudy, trial_id_of
from bandstand.optuna_storage.values import attribute_from_json

__all__ = ["StudyMemory", "brief", "changed"]


def changed(trial: FrozenTrial, **attributes: Any) -> FrozenTrial:
    """A trial like this one with other attributes."""
    other = copy.copy(trial)
    for name, value in attributes.items():
        setattr(other, name, value)
    return other


def brief(trial: FrozenTrial, key: str) -> FrozenTrial:
    """A finished trial without anything but its times and one user attribute."""
    kept = {name: value for name, value in trial.user_attrs.items() if name == key}
    return changed(
        trial, values=None, params={}, distributions={}, intermediate_values={}, user_attrs=kept, system_attrs={}
    )


class StudyMemory:
    """One study. Attributes are kept with their JSON texts, by which a stranger's change is recognised."""

    def __init__(self, *, study_id: int, name: str, directions: Sequence[StudyDirection]):
        self.study_id = study_id
        self.name = name
        self.directions = list(directions)
        self.user_attrs: dict[str, str] = {}
        """Key -> JSON text."""
        self.system_attrs: dict[str, str] = {}
        """Key -> JSON text."""
        self.trials: dict[int, FrozenTrial] = {}
        """By id, in the order of ids, which is the order of numbers."""
        self.last_trial_id = -1
        self.next_number = 0
        self._ids: dict[TrialState, set[int]] = {state: set() for state in TrialState}
        self._id_of_number: dict[int, int] = {}
        self._distributions: dict[str, BaseDistribution] = {}

    def frozen(self) -> FrozenStudy:
        """The study as Optuna hands it around."""
        return FrozenStudy(
            study_name=self.name,
            direction=None,
            directions=self.directions,
            user_attrs={key: attribute_from_json(text) for key, text in self.user_attrs.items()},
            system_attrs={key: attribute_from_json(text) for key, text in self.system_attrs.items()},
            study_id=self.study_id,
        )

    def add(self, trial: FrozenTrial) -> None:
        """Take in a trial whose id is larger than any before."""
        trial_id = trial_id_of(trial)
        self.trials[trial_id] = trial
        self._ids[trial.state].add(trial_id)
        self._id_of_number[trial.number] = trial_id
        self.last_trial_id = trial_id
        self.next_number = max(self.next_number, trial.number + 1)
        for name, distribution in trial.distributions.items():
            self._distributions.setdefault(name, distribution)

    def replace(self, trial: FrozenTrial) -> None:
        """Put a trial in the place of the one with its id."""
        trial_id = trial_id_of(trial)
        before = self.trials[trial_id].state
        self.trials[trial_id] = trial
        if before is not trial.state:
            self._ids[before].remove(trial_id)
            self._ids[trial.state].add(trial_id)
        for name in trial.distributions.keys() - self._distributions.keys():
            self._distributions[name] = trial.distributions[name]

    def trial_id(self, number: int) -> int:
        """The id of the trial with a number.

        Raises:
            KeyError: there is none.
        """
        return self._id_of_number[number]

    def selected(self, states: Container[TrialState] | None) -> list[FrozenTrial]:
        """Trials in the order of their numbers; those in some states are found without looking at the others."""
        if states is None:
            return list(self.trials.values())
        ids = [self._ids[state] for state in TrialState if state in states]
        return [self.trials[trial_id] for trial_id in sorted(set().union(*ids))]

    def count(self, states: Container[TrialState] | None) -> int:
        """How many trials there are, or are in some states."""
        return sum(len(ids) for state, ids in self._ids.items() if states is None or state in states)

    def check_compatible(self, distributions: Iterable[tuple[str, BaseDistribution]]) -> None:
        """A parameter keeps its kind, and a categorical one its choices, throughout a study.

        Raises:
            ValueError: it does not.
        """
        for name, distribution in distributions:
            before = self._distributions.get(name)
            if before is not None:
                check_distribution_compatibility(before, distribution)
