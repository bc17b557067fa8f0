"""Which trainer would have least work to take up a trial: it holds the checkpoint in memory, or the program.

Knows what trainers have done. Must not know what there is to do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

__all__ = ["Affinity"]


class Affinity:
    """What the trainers of one study remember."""

    def __init__(self) -> None:
        self._trials: dict[int, str] = {}  # trial -> the trainer that trained it last
        self._signatures: dict[int, str] = {}  # trial -> its program
        self._programs: defaultdict[str, set[str]] = defaultdict(set)

    def trained(self, trainer: str, trial: int, signature: str) -> None:
        """A trainer has trained a trial by the program of this signature; an empty one is none."""
        self._trials[trial] = trainer
        if signature:
            self._signatures[trial] = signature
            self._programs[trainer].add(signature)

    def forget(self, trainer: str) -> None:
        """A trainer is gone."""
        self._programs.pop(trainer, None)

    def of(self, trainer: str, trials: Iterable[int]) -> set[int]:
        """Those of these trials that the trainer trained last; if there are none, those whose program it has."""
        waiting = list(trials)
        own = {trial for trial in waiting if self._trials.get(trial) == trainer}
        return own or {trial for trial in waiting if self._signatures.get(trial) in self._programs[trainer]}
