"""The percentile stopping rule, of which the median rule is the case of 50 %."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from math import floor, isfinite
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PrunerFacts
from bandstand.strategies.options import Options, check_min_epochs, options_from
from bandstand.strategies.strategy import Judgement
from bandstand.trials.events import Action, Ended, Event, TrialState
from bandstand.trials.history import Trial

__all__ = ["CurveOptions", "PercentilePruner"]


class CurveOptions(Options):
    """Options of the pruners that compare a trial with the curves of completed trials."""

    startup_trials: Annotated[int, Field(ge=1)] = 5
    """Number of trials that must complete before any trial is stopped."""
    min_epochs: Annotated[int, Field(ge=1)] = 1
    """First epoch that is judged, at most `max_epochs`."""


def _in_percent(percentile: float) -> float:
    if percentile < 1:
        raise ValueError("in percent, at least 1, such as 25 for the best quarter")
    return percentile


class PercentileOptions(CurveOptions):
    """Options of pruner percentile."""

    percentile: Annotated[float, Field(gt=0, lt=100), AfterValidator(_in_percent)] = 25.0
    """Percentile of the completed trials, counted from the best one, at least 1. A trial that is worse is stopped. A
    smaller percentile stops more trials."""


class PercentilePruner(PrunerFacts):
    """Stops a trial whose best value so far is worse than a percentile of what completed trials had at this epoch.

    As Optuna's PercentilePruner: single values, not running averages, and the percentile is interpolated linearly
    between order statistics (method 7 of Hyndman and Fan, Sample Quantiles in Statistical Packages, 1996).
    """

    options: ClassVar[type[CurveOptions]] = PercentileOptions
    summary: ClassVar[str] = (
        "Stops a trial that is not among the best `percentile` % of the completed trials at the same epoch."
    )
    foresees: ClassVar[bool] = True
    owner: ClassVar[str] = "pruner percentile"

    def __init__(self, spec: Problem, options: CurveOptions, percentile: float):
        self._options = options
        self._percentile = percentile
        self._sign = spec.objective.sign
        self._max_epochs = spec.max_epochs
        self._completed = 0
        self._losses: dict[int, list[float]] = {}

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Pruner.check`."""
        options = options_from(cls.owner, PercentileOptions, spec.pruner_options)
        check_min_epochs(cls.owner, options.min_epochs, spec.max_epochs)

    @classmethod
    def make(cls, spec: Problem) -> PercentilePruner:
        """As `Pruner.make`."""
        options = options_from(cls.owner, PercentileOptions, spec.pruner_options)
        return cls(spec, options, options.percentile)

    def bracket(self, number: int) -> int:
        """As `Pruner.bracket`."""
        return 0

    def ask_epochs(self, bracket: int | None = None) -> tuple[int, ...]:
        """Every epoch from min_epochs on."""
        return tuple(range(self._options.min_epochs, self._max_epochs + 1))

    def judge(self, trial: Trial) -> Judgement:
        """As `Pruner.judge`."""
        epoch = trial.epochs
        if epoch < self._options.min_epochs:  # granted by what was left of the budget
            return Judgement(action=Action.CONTINUE, reason="not judged yet")
        others = self._losses.get(epoch, [])
        if self._completed < self._options.startup_trials or not others:
            return Judgement(action=Action.CONTINUE, reason="too few completed trials to compare with")
        mark = _percentile_of(others, self._percentile)
        best = min(self._sign * value for value in trial.values if isfinite(value))
        action = Action.STOP if best > mark else Action.CONTINUE
        name = "median" if self._percentile == 50 else f"percentile {self._percentile:g}"
        return Judgement(action=action, reason=f"best {self._sign * best:.6g}, {name} {self._sign * mark:.6g}")

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Remember the curves of completed trials."""
        if isinstance(event, Ended) and event.state is TrialState.COMPLETE and trial is not None:
            self._completed += 1
            for epoch, value in enumerate(trial.values, start=1):
                if isfinite(value):
                    insort(self._losses.setdefault(epoch, []), self._sign * value)

    def notices(self) -> list[str]:
        """As `Pruner.notices`."""
        return []


def _percentile_of(ascending: Sequence[float], percentile: float) -> float:
    position = (len(ascending) - 1) * percentile / 100
    below = floor(position)
    above = min(below + 1, len(ascending) - 1)
    share = position - below
    return (1 - share) * ascending[below] + share * ascending[above]
