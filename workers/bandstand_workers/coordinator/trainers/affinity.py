"""Which trainer would have least work to take up a trial: it holds the checkpoint in memory, or the program.

Knows what trainers have done. Must not know what there is to do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

__all__ = ["Affinity"]

_OVERTAKEN_LIMIT = 16
"""How many later trials may be preferred to one that is new to every trainer."""

_Shape = frozenset[tuple[str, Any]]


class Affinity:
    """What the trainers of one study remember."""

    def __init__(self, batch_size: int | str | None = None) -> None:
        """`batch_size`, as in the study, may name a parameter; None where programs depend on it."""
        self._batch_size = batch_size
        self._trials: dict[int, str] = {}  # trial -> the trainer that trained it last
        self._signatures: dict[int, str] = {}  # trial -> its program
        self._programs: defaultdict[str, set[str]] = defaultdict(set)
        self._shapes: defaultdict[str, set[_Shape]] = defaultdict(set)
        self._passed_over: Counter[int] = Counter()  # trial that waits to go on -> how often another was preferred

    def given(self, trainer: str, params: Mapping[str, Any]) -> None:
        """A trainer begins a trial with these params."""
        self._shapes[trainer].add(self._shape(params))

    def trained(self, trainer: str, trial: int, signature: str | None) -> None:
        """A trainer has trained a trial by the program of this signature; None: by no program."""
        self._trials[trial] = trainer
        self._passed_over.pop(trial, None)
        if signature is not None:
            self._signatures[trial] = signature
            self._programs[trainer].add(signature)

    def forget(self, trainer: str) -> None:
        """A trainer is gone."""
        self._programs.pop(trainer, None)
        self._shapes.pop(trainer, None)

    def of(self, trainer: str, waiting: Mapping[int, Mapping[str, Any]]) -> set[int]:
        """Those of the waiting trials, given with their params, that this trainer should have.

        Those that it trained last; if there are none, those whose program it has or should have by their params; if
        there are none, those whose program nobody has, so that no two trainers compile the same. A trial that was
        never trained and that many later ones have overtaken comes first; and before it one that waits to go on and
        that was passed over as often as there are trainers, by which time its own should have come.
        """
        begun = waiting.keys() & self._signatures.keys()
        overdue = {trial for trial in begun if self._passed_over[trial] >= max(1, len(self._shapes))}
        chosen = overdue or self._suiting(trainer, waiting)
        self._passed_over.update(begun - chosen if chosen else ())
        return chosen

    def _suiting(self, trainer: str, waiting: Mapping[int, Mapping[str, Any]]) -> set[int]:
        new = {trial: self._shape(params) for trial, params in waiting.items() if trial not in self._signatures}
        if new and max(new) - min(new) + 1 - len(new) > _OVERTAKEN_LIMIT:
            return {min(new)}
        own = {trial for trial in waiting if self._trials.get(trial) == trainer}
        if own:
            return own
        ready = {trial for trial in waiting if self._signatures.get(trial) in self._programs[trainer]}
        ready |= {trial for trial, shape in new.items() if shape in self._shapes[trainer]}
        if ready:
            return ready
        elsewhere = set().union(*self._shapes.values())
        return {trial for trial, shape in new.items() if shape not in elsewhere}

    def _shape(self, params: Mapping[str, Any]) -> _Shape:
        """What of a trial's params is likely to decide its program.

        Most numbers that are no counts, such as rates, are variables of a program. Where that is wrong, a trainer
        compiles what another has: time is lost, nothing else.
        """
        return frozenset(
            (name, value) for name, value in params.items() if name != self._batch_size and not isinstance(value, float)
        )
