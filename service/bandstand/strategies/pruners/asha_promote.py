"""ASHA as the paper has it: trials pause at every rung, and the best 1/η of a rung are promoted from their checkpoints.

Neither Optuna nor Ray nor KerasTuner has it: they stop a trial that is not among the best when it reaches a rung, for
good, even where those that come later turn out worse.
"""

from __future__ import annotations

from math import isfinite
from typing import ClassVar

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PrunerFacts
from bandstand.strategies.options import options_from
from bandstand.strategies.pruners.asha import ASHAOptions, check_halving, key_of
from bandstand.strategies.pruners.first_rung import FirstRung
from bandstand.strategies.pruners.rungs import WaitingRung, rung_epochs
from bandstand.strategies.randomness import Key
from bandstand.strategies.strategy import Judgement, Promotion, Retirement, Situation
from bandstand.trials.events import Action, Ended, Event, Extended, Lost, Measured, Paused, Promoted, TrialState
from bandstand.trials.history import Trial

__all__ = ["PromotingASHAPruner"]


class PromotingASHAPruner(PrunerFacts):
    """Asynchronous successive halving with promotion (Li et al., MLSys 2020, algorithm 2).

    A free worker takes the best paused trial of the highest rung that has one among its best ⌊n/η⌋; only where there is
    none, a new one. A trial that reaches a rung where it is itself that trial trains on without pausing, which is the
    same decision without the way through a file.

    A paused trial ends early once it cannot be promoted any more, whatever those do that the budget still allows to
    reach its rung. Where nothing new can be tried and no trial has been completed, the best is promoted although its
    quota is not reached: a study should end with a model that was trained to the end.

    A ladder is a row of rungs at which trials are compared. ASHA has one, and with `min_epochs = "auto"` a trial's
    bracket says at which rung of it the trial is judged first. Hyperband has a ladder for each bracket.
    """

    options: ClassVar[type[ASHAOptions]] = ASHAOptions
    summary: ClassVar[str] = (
        "Asynchronous successive halving with promotion: a trial pauses at each rung, and the best 1/η go on."
    )
    owner: ClassVar[str] = "pruner asha-promote"

    def __init__(self, spec: Problem, options: ASHAOptions | None = None):
        """Without options, with those that the study gives its pruner."""
        options = options or options_from(self.owner, self.options, spec.pruner_options)
        self._spec = spec
        self._factor = options.reduction_factor
        self._first: FirstRung | None = None
        self._ask_epochs = self._brackets(options)
        self._rungs = {
            (epoch, self._ladder(bracket)): WaitingRung()
            for bracket, epochs in enumerate(self._ask_epochs)
            for epoch in epochs[:-1]
        }
        self._from_above = sorted(self._rungs, key=lambda place: (-place[0], place[1]))
        self._places: dict[int, tuple[WaitingRung, Key]] = {}  # of the trials that pause
        self._epochs_used = 0
        self._budget = spec.budget
        self._completed = False

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Pruner.check`."""
        check_halving(cls.owner, spec)

    @classmethod
    def reduction_factor(cls, spec: Problem) -> int | None:
        """As `PrunerFacts.reduction_factor`."""
        return options_from(cls.owner, cls.options, spec.pruner_options).reduction_factor

    @classmethod
    def make(cls, spec: Problem) -> PromotingASHAPruner:
        """As `Pruner.make`."""
        return cls(spec)

    def _brackets(self, options: ASHAOptions) -> list[tuple[int, ...]]:
        """Where the trials of each bracket ask."""
        rungs = rung_epochs(options.lowest_rung, self._factor, self._spec.max_epochs)
        if options.min_epochs != "auto":
            return [rungs]
        self._first = FirstRung(self._spec, rungs, self._factor)
        return [rungs[start:] for start in range(self._first.starts)]

    def _ladder(self, bracket: int) -> int:
        """Which brackets compare their trials with one another: those of the same number."""
        return 0

    @property
    def foresees(self) -> bool:
        """As `Pruner.foresees`: not where the first rung is learned."""
        return self._first is None

    def bracket(self, number: int) -> int | None:
        """As `Pruner.bracket`."""
        return 0 if self._first is None else self._first.start_of(number)

    def ask_epochs(self, bracket: int | None = None) -> tuple[int, ...]:
        """As `Pruner.ask_epochs`."""
        if bracket is None:
            return tuple(sorted({epoch for epochs in self._ask_epochs for epoch in epochs}))
        return self._ask_epochs[bracket]

    def judge(self, trial: Trial) -> Judgement:
        """As `Pruner.judge`."""
        place = (trial.epochs, self._ladder(trial.bracket))
        if (
            trial.epochs not in self._ask_epochs[trial.bracket]
        ):  # the epoch was granted by what was left of the budget, not by a rung
            return Judgement(action=Action.CONTINUE, reason="no rung")
        rung, key = self._rungs[place], key_of(trial, self._spec)
        words = self._words(place, key)
        if rung.rank(key) >= self._quota(place):
            return Judgement(action=Action.PAUSE, reason=words)
        better = self._promotable()
        if better is not None and self._from_above.index(better) <= self._from_above.index(place):
            waiting = self._rungs[better].best_waiting
            if better != place or (waiting is not None and waiting < key):
                return Judgement(action=Action.PAUSE, reason=f"{words}; trial {waiting[2] if waiting else '?'} first")
        return Judgement(action=Action.CONTINUE, reason=words)

    def promotion(self, situation: Situation) -> Promotion | Retirement | None:
        """As `PromotingPruner.promotion`."""
        place = self._promotable()
        if place is None and situation.idle and not situation.may_propose and not self._completed:
            place = next((place for place in self._from_above if self._rungs[place].best_waiting), None)
        if place is not None:
            key = self._rungs[place].best_waiting
            assert key is not None
            return Promotion(trial=key[2], reason=self._words(place, key))
        return self._retirement()

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Pruner.observe`."""
        if isinstance(event, Extended):
            self._budget = self._budget.model_copy(update=dict(event.budget))
        if trial is None:
            return
        if self._first is not None:
            self._first.observe(event, trial)
        if isinstance(event, Measured):
            self._epochs_used += 1
            if event.epoch in self._ask_epochs[trial.bracket][:-1] and isfinite(trial.values[-1]):
                self._rungs[event.epoch, self._ladder(trial.bracket)].add(key_of(trial, self._spec))
        elif isinstance(event, Paused | Lost) and trial.state is TrialState.PAUSED:
            rung, key = self._rungs[trial.epochs, self._ladder(trial.bracket)], key_of(trial, self._spec)
            rung.wait(key)
            self._places[trial.number] = rung, key
        elif isinstance(event, Promoted | Ended) and trial.number in self._places:
            rung, key = self._places.pop(trial.number)
            rung.leave(key)
        if isinstance(event, Ended) and event.state is TrialState.COMPLETE:
            self._completed = True

    def notices(self) -> list[str]:
        """As `Pruner.notices`."""
        return []

    def _quota(self, place: tuple[int, int]) -> int:
        """How many of those that have reached a rung so far may go on."""
        return len(self._rungs[place]) // self._factor

    def _promotable(self) -> tuple[int, int] | None:
        """The highest rung whose best paused trial may go on."""
        for place in self._from_above:
            rung = self._rungs[place]
            if rung.best_waiting is not None and rung.rank(rung.best_waiting) < self._quota(place):
                return place
        return None

    def _retirement(self) -> Retirement | None:
        """A paused trial that cannot be promoted any more. Ranks only ever grow, and so does a rung, by a bound."""
        for place in self._from_above:
            rung, bound = self._rungs[place], self._bound(place)
            key = rung.worst_waiting
            if key is not None and bound is not None and rung.rank(key) >= bound // self._factor:
                return Retirement(trial=key[2], reason=f"{self._words(place, key)}, and no more than {bound} can come")
        return None

    def _bound(self, place: tuple[int, int]) -> int | None:
        """How many trials a rung can have in the end; None where the budget does not say."""
        epoch, ladder = place
        budget = self._budget
        bounds = [] if budget.trials is None else [budget.trials]
        if budget.epochs is not None:
            below = [at for at, on in self._rungs if on == ladder and at < epoch]
            step = epoch - max(below, default=0)
            bounds.append(len(self._rungs[place]) + (budget.epochs - self._epochs_used) // step)
        return min(bounds, default=None)

    def _words(self, place: tuple[int, int], key: Key) -> str:
        rung = self._rungs[place]
        return f"rung {place[0]}: place {rung.rank(key) + 1} of {len(rung)}, {self._quota(place)} may go on"
