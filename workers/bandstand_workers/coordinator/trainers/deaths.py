"""Deaths of trainers: which of the trials that one trained are to blame.

Knows what trainers died of, and with which trials. Must not know what follows for a trial.
"""

from __future__ import annotations

from collections.abc import Mapping

from bandstand_workers.fleet.places import node_died

__all__ = ["Deaths"]

_NODES = 3
"""Nodes that may die under a trial, from the same checkpoint on, before it is suspected of killing them."""


class Deaths:
    """What is known of the deaths under one study's trials."""

    def __init__(self) -> None:
        self._nodes = _Counts()
        self._processes = _Counts()  # of those that had several trials
        self._judged: dict[str, set[int]] = {}  # trainer that died -> trials to blame

    def are_due_to(self, trial: int, trainer: str, error: BaseException, under_way: Mapping[int, int]) -> bool:
        """Whether a trainer's death counts against a trial.

        A dead process may have died of what its trial did. Of several that were under way together those are to blame
        under which most processes have died since they last came further, if that was not the first: whoever trained
        beside them by chance trains beside others next time (`make_suspect`). Of a dead node nothing is assumed, unless
        one follows the other and the trial comes no further: it may use up the memory of whole machines.

        Args:
            trial: one of those that were under way.
            trainer: that died, asked about once for each of its trials.
            error: what it died of.
            under_way: its trials -> how far each had come for good.
        """
        if trainer not in self._judged:
            self._judged[trainer] = self._judge(error, under_way)
        return trial in self._judged[trainer]

    def make_suspect(self, trial: int, epoch: int) -> bool:
        """Whether a process died under a trial and others, and it has come no further than to `epoch` since."""
        return self._processes.of(trial, epoch) > 0

    def _judge(self, error: BaseException, under_way: Mapping[int, int]) -> set[int]:
        if node_died(error):
            return {trial for trial, epoch in under_way.items() if self._nodes.add(trial, epoch) > _NODES}
        if len(under_way) == 1:
            return set(under_way)
        counts = {trial: self._processes.add(trial, epoch) for trial, epoch in under_way.items()}
        most = max(counts.values())
        return {trial for trial, count in counts.items() if count == most > 1}


class _Counts:
    """Deaths under each trial since it last came further."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}  # trial -> epoch of its checkpoint, deaths since

    def of(self, trial: int, epoch: int) -> int:
        """How many, where its checkpoint is at `epoch`."""
        at, count = self._known.get(trial, (epoch, 0))
        return count if at == epoch else 0

    def add(self, trial: int, epoch: int) -> int:
        """One more; how many there are now."""
        count = self.of(trial, epoch) + 1
        self._known[trial] = epoch, count
        return count
