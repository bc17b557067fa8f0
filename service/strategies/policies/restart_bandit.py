"""The bandits of `lr-restarts`: which configuration gets the next cycle, and which gets no more.

Knows how the cycles of configurations ended. Must not know what a cycle is made of, nor who trains it.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left, insort
from collections.abc import Callable
from heapq import heappop, heappush
from math import ceil, inf, log, sqrt

from service.events import TrialState
from service.history import Trial

__all__ = ["Arm", "Bandit"]


@dataclasses.dataclass(slots=True)
class Arm:
    """One configuration and the cycles it has had."""

    root: Trial
    cycles: list[Trial] = dataclasses.field(default_factory=list)
    base: Trial | None = None  # the cycle whose end the next one goes on from
    paused: Trial | None = None  # at the end of its cycle, waiting for the bandit
    closed: bool = False  # rejected, or at its end
    ranks: list[float] = dataclasses.field(default_factory=list)  # of its cycles among all, 1 for the best


class Bandit:
    """`rejects` are successive rejects (Audibert, Bubeck and Munos, COLT 2010): phases after each of which the
    configuration with the worst best value gets no more cycles. `ucb` is UCB1 (Auer, Cesa-Bianchi and Fischer, 2002)
    with a cycle's reward being the share of cycles so far that ended no better. Nobody waits for a phase to end who
    cannot come out of it last.
    """

    def __init__(
        self,
        kind: str,
        *,
        configurations: int,
        cycles: int,
        pulls: int,
        sign: float,
        may_restart: Callable[[Arm], bool],
    ):
        """No configuration has had a cycle yet.

        Args:
            kind: `rejects` or `ucb`.
            configurations: how many there will be.
            cycles: of each, at most.
            pulls: cycles that the budget has for all of them.
            sign: factor that turns a value into a loss.
            may_restart: whether there is a cycle left for a configuration, and something to begin it with.
        """
        self.arms: list[Arm] = []
        self._kind = kind
        self._configurations = configurations
        self._phases = _phases(configurations, cycles, pulls)
        self._sign = sign
        self._may_restart = may_restart
        self._losses: list[float] = []  # of all cycles that have ended, ascending
        self._waiting: dict[int, list[tuple[float, int]]] = {}
        """By how many cycles of theirs have ended: (-sum of ranks, bracket), a heap. Some have gone on since."""

    def count(self, arm: Arm, trial: Trial) -> None:
        """A cycle of a configuration has come to its end."""
        loss = self.loss(trial)
        insort(self._losses, loss)
        arm.ranks.append(1 - bisect_left(self._losses, loss) / len(self._losses))
        if self._kind == "ucb":
            heappush(self._waiting.setdefault(len(arm.ranks), []), (-sum(arm.ranks), arm.root.bracket))

    def loss(self, trial: Trial) -> float:
        """The best value of a cycle, as a loss; infinite where it failed."""
        if trial.state is TrialState.FAILED or not trial.best_epoch:
            return inf
        return self._sign * trial.value_at(trial.best_epoch)

    def open(self) -> list[Arm]:
        """Those that may get further cycles, or train."""
        return [arm for arm in self.arms if not arm.closed]

    def next_arm(self) -> Arm | None:
        """Who gets the next cycle, None while it is not known."""
        if self._kind == "ucb":
            return self._most_promising()
        free = self._free()
        if not free:
            return None
        limit = self._limit()
        due = [arm for arm in free if len(arm.cycles) < limit]
        if not due and len(self.open()) > 1:
            # The phase waits for those that still train: whoever cannot be its last may go ahead, by one phase.
            due = [arm for arm in sorted(free, key=self._score)[:-1] if len(arm.cycles) < limit + 1]
        if not due and len(self.open()) == 1:
            due = free
        return min(due, key=lambda arm: (len(arm.cycles), self._score(arm), arm.root.bracket), default=None)

    def rejected(self) -> Arm | None:
        """Who gets no more cycles, once a phase is over; it has a paused cycle."""
        if self._kind != "rejects":
            return None
        arms = self.open()
        if len(arms) < 2 or len(self.arms) < self._configurations:
            return None
        if len(self._free()) < len(arms) or any(len(arm.cycles) < self._limit() for arm in arms):
            return None
        paused = [arm for arm in arms if arm.paused is not None]  # where a cycle failed, there is none to be ended
        return max(paused, key=lambda arm: (self._score(arm), arm.root.bracket), default=None)

    def _most_promising(self) -> Arm | None:
        """The free arm with the highest upper confidence bound.

        All bounds change with each cycle that ends, but of arms with as many cycles the one with the largest sum of
        ranks stays first. So only those are compared, and nobody looks at a thousand configurations.
        """
        tops = []
        for ended, heap in self._waiting.items():
            while heap:
                arm = self.arms[heap[0][1]]
                if len(arm.ranks) == ended and self._is_free(arm):
                    tops.append(arm)
                    break
                heappop(heap)
        total = len(self._losses)
        return max(tops, key=lambda arm: (_bound(arm, total), -arm.root.bracket), default=None)

    def _score(self, arm: Arm) -> float:
        """The best of an arm's cycles, as a loss."""
        return min((self.loss(trial) for trial in arm.cycles), default=inf)

    def _free(self) -> list[Arm]:
        """Those that no worker trains."""
        return [arm for arm in self.arms if self._is_free(arm)]

    def _is_free(self, arm: Arm) -> bool:
        """Whether it may get a cycle at once; where it may not, it will have had another one by the time it may."""
        return not arm.closed and len(arm.ranks) == len(arm.cycles) and self._may_restart(arm)

    def _limit(self) -> int:
        """Cycles of each configuration in the present phase of successive rejects."""
        rejected = sum(arm.closed for arm in self.arms)
        return self._phases[min(rejected, len(self._phases) - 1)]


def _bound(arm: Arm, total: int) -> float:
    """The upper confidence bound of an arm's reward after `total` cycles of all."""
    pulls = len(arm.ranks)
    return sum(arm.ranks) / pulls + sqrt(2 * log(total) / pulls)


def _phases(arms: int, cycles: int, pulls: int) -> list[int]:
    """Cycles that each remaining arm has had at the end of phase k (Audibert et al. 2010, figure 3), at least one."""
    if arms < 2:
        return [cycles]
    log_bar = 0.5 + sum(1 / index for index in range(2, arms + 1))
    return [min(cycles, max(1, ceil((pulls - arms) / log_bar / (arms + 1 - phase)))) for phase in range(1, arms)] + [
        cycles
    ]
