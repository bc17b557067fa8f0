"""All of some trials in one order, though they stand at different epochs; `standings` compares at one rung instead.

For samplers that need the rank of every trial, also of those that were stopped early, and no values. Must not know what
is done with the ranks.

A value is compared with values of the same epoch only. Trials that a pruner let go on past a rung stand before those
that it stopped or left waiting there, which for ASHA is: further first, then by value. A trial under way stands where
it was last judged. A trial that nobody judged at that epoch, as in
another bracket of Hyperband, earns nothing by having gone further; there the values at that epoch decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf, isfinite

from bandstand.problem.problem import Problem
from bandstand.strategies.randomness import coin_for
from bandstand.trials.best import RankKey, complete_first
from bandstand.trials.events import Decided, Event, Promoted, Proposed, TrialState
from bandstand.trials.history import Trial

__all__ = ["Ranking"]


@dataclass(kw_only=True, slots=True)
class _Record:
    """What a trial itself does not tell."""

    granted: int  # up to where it may train before it is judged again
    coin: float
    judged: int = 0  # the last epoch at which the pruner gave its word
    passed: set[int] = field(default_factory=set)  # epochs at which it was judged and went on


class Ranking:
    """Ranks trials that have ended or been paused at a rung; follows the decisions about all of them."""

    def __init__(self, spec: Problem):
        self._spec = spec
        self._records: dict[int, _Record] = {}

    def observe(self, event: Event) -> None:
        """Follow what was granted and decided."""
        if isinstance(event, Proposed):
            self._records[event.trial] = _Record(granted=event.granted, coin=coin_for(self._spec.seed, event.trial))
        elif isinstance(event, Decided):
            record = self._records[event.trial]
            # A trial that pauses between two rungs because the study is being stopped was not judged.
            if event.epoch >= record.granted:
                record.judged = event.epoch
                if event.granted > event.epoch:
                    record.passed.add(event.epoch)
            record.granted = event.granted
        elif isinstance(event, Promoted):
            record = self._records[event.trial]
            record.passed.add(record.judged)
            record.granted = event.granted

    @staticmethod
    def tells(trial: Trial) -> bool:
        """Whether a resting trial says anything: not if the study's time was up before its first epoch was over."""
        return trial.state is not TrialState.FAILED or trial.reason != "budget"

    @staticmethod
    def has_result(trial: Trial) -> bool:
        """Whether a trial has not failed and has a value."""
        return trial.state is not TrialState.FAILED and trial.best_epoch > 0

    def is_better(self, trial: Trial, than: Trial) -> bool:
        """Whether a sampler should build on a trial rather than on another: complete before pruned, then by its result.

        That is another question than which is the study's best: a pruned trial's value says less of what follows.
        """
        return self._as_model(trial) < self._as_model(than)

    def _as_model(self, trial: Trial) -> RankKey:
        return complete_first(trial.state, self._loss_at(trial, trial.epochs), trial.number)

    def ranked(self, trials: Iterable[Trial]) -> list[Trial]:
        """Trials that have come to rest, the best first, the failed ones last; a coin for each trial settles ties.

        From the first epoch at which one of them stands to the last: those that stand there take the places that they
        have among all that got so far, and the others share the remaining places by what came later.
        """
        failed: list[Trial] = []
        remaining: list[Trial] = []
        for trial in trials:
            (remaining if self.has_result(trial) else failed).append(trial)
        places: list[Trial | None] = [None] * len(remaining)
        free = list(range(len(remaining)))
        for epoch in sorted({self._last_epoch(trial) for trial in remaining}):
            remaining.sort(key=lambda trial, epoch=epoch: self._key(trial, epoch))  # type: ignore[misc]  # no lambda has a type
            further = []
            for place, trial in zip(list(free), remaining, strict=True):
                if self._last_epoch(trial) == epoch:
                    places[place] = trial
                    free.remove(place)
                else:
                    further.append(trial)
            remaining = further
        failed.sort(key=lambda trial: self._records[trial.number].coin)
        return [trial for trial in places if trial is not None] + failed

    def _last_epoch(self, trial: Trial) -> int:
        """Up to where a trial takes part in comparisons."""
        if trial.state is not TrialState.COMPLETE:
            return self._records[trial.number].judged  # more epochs may have come in since
        if trial.reason == "early_stopping":
            return self._spec.max_epochs  # it would have gone on to every later rung; its result stands for it there
        return trial.epochs

    def _key(self, trial: Trial, epoch: int) -> tuple[bool, float, float, int]:
        record = self._records[trial.number]
        return epoch not in record.passed, self._loss_at(trial, epoch), record.coin, trial.number

    def _loss_at(self, trial: Trial, epoch: int) -> float:
        """The trial's result as of this epoch, as the study asks for it: of the best or of the last epoch."""
        sign = self._spec.objective.sign
        losses = [sign * value for value in trial.values[:epoch] if isfinite(value)]
        if not losses:
            return inf
        return min(losses) if self._spec.objective.epoch == "best" else losses[-1]
