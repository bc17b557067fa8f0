"""The bandits of `lr-restarts`: which configuration gets the next cycle, and which gets no more.

Knows how the cycles of configurations ended. Must not know what a cycle is made of, nor who trains it.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_left, insort
from collections.abc import Callable
from heapq import heappop, heappush
from math import ceil, inf, log, sqrt

from bandstand.trials.events import TrialState
from bandstand.trials.history import Trial

__all__ = ["Bandit", "BanditArm"]

_Entry = tuple[float, int, int]
"""What it is ordered by, a bracket, the sign of which may be the other one to order by it, and cycles ended by then."""


@dataclasses.dataclass(slots=True)
class BanditArm:
    """One configuration and the cycles it has had."""

    root: Trial
    cycles: list[Trial] = dataclasses.field(default_factory=list)
    base: Trial | None = None  # the cycle whose end the next one goes on from
    paused: Trial | None = None  # at the end of its cycle, waiting for the bandit
    closed: bool = False  # rejected, or at its end; the bandit's `close` says so
    ranks: list[float] = dataclasses.field(default_factory=list)  # of its cycles among all, 1 for the best
    loss: float = inf  # the best of its cycles that have ended


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
        may_restart: Callable[[BanditArm], bool],
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
        self.arms: list[BanditArm] = []
        self._kind = kind
        self._configurations = configurations
        self._phases = _phases(configurations, cycles, pulls)
        self._sign = sign
        self._may_restart = may_restart
        self._losses: list[float] = []  # of all cycles that have ended, ascending
        self._closed = 0
        self._training: set[int] = set()  # brackets
        self._free: dict[int, list[_Entry]] = {}
        """By how many cycles they have had, heaps, the most promising first; some have gone on since."""
        self._worst: list[_Entry] = []
        """For `rejects`: all of these in one heap, the worst first."""
        self._worst_paused: list[_Entry] = []
        """The same, but those in which no cycle is paused fall out."""

    @property
    def open(self) -> int:
        """How many may get further cycles, or train."""
        return len(self.arms) - self._closed

    def begin(self, trial: Trial) -> None:
        """A configuration's first or next cycle."""
        if trial.bracket == len(self.arms):
            self.arms.append(BanditArm(root=trial))
        arm = self.arms[trial.bracket]
        arm.cycles.append(trial)
        self.resume(arm)

    def resume(self, arm: BanditArm) -> None:
        """Its last cycle trains, again perhaps."""
        self._training.add(arm.root.bracket)

    def rest(self, arm: BanditArm, trial: Trial) -> None:
        """A cycle of a configuration has come to its end, in whatever way, and what follows is to be decided."""
        if len(arm.ranks) < len(arm.cycles):  # else it was counted before its worker died
            self._count(arm, trial)
        bracket, ended = arm.root.bracket, len(arm.ranks)
        self._training.discard(bracket)
        promise = -sum(arm.ranks) if self._kind == "ucb" else arm.loss
        heappush(self._free.setdefault(ended, []), (promise, bracket, ended))
        if self._kind == "rejects":
            heappush(self._worst, (-arm.loss, -bracket, ended))
            heappush(self._worst_paused, (-arm.loss, -bracket, ended))

    def close(self, arm: BanditArm) -> None:
        """It gets no more cycles."""
        self._closed += not arm.closed
        arm.closed = True
        self._training.discard(arm.root.bracket)

    def loss(self, trial: Trial) -> float:
        """The best value of a cycle, as a loss; infinite where it failed."""
        if trial.state is TrialState.FAILED or not trial.best_epoch:
            return inf
        return self._sign * trial.value_at(trial.best_epoch)

    def next_arm(self) -> BanditArm | None:
        """Who gets the next cycle, None while it is not known."""
        tops = {ended: arm for ended, heap in self._free.items() if (arm := self._top(heap)) is not None}
        if not tops:
            return None
        if self._kind == "ucb":
            # All bounds change with each cycle that ends, but of arms with as many cycles the one with the largest sum
            # of ranks stays first. So only those are compared, and nobody looks at a thousand configurations.
            total = len(self._losses)
            return max(tops.values(), key=lambda arm: (_bound(arm, total), -arm.root.bracket))
        fewest = min(tops)
        arm, limit = tops[fewest], self._limit()
        if fewest < limit or self.open == 1:
            return arm
        # The phase waits for those that still train: whoever cannot be its last may go ahead, by one phase.
        return arm if fewest == limit and arm is not self._top(self._worst) else None

    def rejected(self) -> BanditArm | None:
        """Who gets no more cycles, once a phase is over; it has a paused cycle."""
        if self._kind != "rejects" or self.open < 2 or len(self.arms) < self._configurations or self._training:
            return None
        limit = self._limit()
        if any(ended < limit and self._top(heap) is not None for ended, heap in self._free.items()):
            return None
        while (arm := self._top(self._worst_paused)) is not None and arm.paused is None:
            heappop(self._worst_paused)  # its last cycle failed: there is none to be ended
        return arm

    def _count(self, arm: BanditArm, trial: Trial) -> None:
        loss = self.loss(trial)
        insort(self._losses, loss)
        arm.ranks.append(1 - bisect_left(self._losses, loss) / len(self._losses))
        arm.loss = min(arm.loss, loss)

    def _top(self, heap: list[_Entry]) -> BanditArm | None:
        """The first that is free. Those before it, which are not, will come in again when they are."""
        while heap:
            _, bracket, ended = heap[0]
            arm = self.arms[abs(bracket)]
            if len(arm.ranks) == ended and self._is_free(arm):
                return arm
            heappop(heap)
        return None

    def _is_free(self, arm: BanditArm) -> bool:
        """Whether it may get a cycle at once."""
        return not arm.closed and arm.root.bracket not in self._training and self._may_restart(arm)

    def _limit(self) -> int:
        """Cycles of each configuration in the present phase of successive rejects."""
        return self._phases[min(self._closed, len(self._phases) - 1)]


def _bound(arm: BanditArm, total: int) -> float:
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
