"""Bounds on the metric: what leaves them is stopped, whatever other trials do."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PrunerFacts
from bandstand.strategies.options import Options, check_min_epochs, options_from
from bandstand.strategies.strategy import Judgement
from bandstand.trials.events import Action, Event
from bandstand.trials.history import Trial

__all__ = ["ThresholdPruner"]


class ThresholdOptions(Options):
    """Options of pruner threshold. At least one of `lower` and `upper` is needed."""

    lower: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Lowest value of the metric that a trial may have. A trial with a lower value is stopped."""
    upper: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """Highest value of the metric that a trial may have. A trial with a higher value is stopped."""
    min_epochs: Annotated[int, Field(ge=1)] = 1
    """First epoch that is judged, at most `max_epochs`."""


class ThresholdPruner(PrunerFacts):
    """Stops a trial whose latest value is below `lower` or above `upper`; a value on a bound is within.

    As Optuna's ThresholdPruner. A value that is not finite has ended the trial as failed before any pruner sees it.
    """

    options: ClassVar[type[ThresholdOptions]] = ThresholdOptions
    summary: ClassVar[str] = "Stops a trial whose metric is below `lower` or above `upper`."
    foresees: ClassVar[bool] = True
    owner: ClassVar[str] = "pruner threshold"

    def __init__(self, spec: Problem):
        self._options = options_from(self.owner, ThresholdOptions, spec.pruner_options)
        self._metric = spec.objective.metric
        self._max_epochs = spec.max_epochs

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Pruner.check`."""
        options = options_from(cls.owner, ThresholdOptions, spec.pruner_options)
        check_min_epochs(cls.owner, options.min_epochs, spec.max_epochs)
        if options.lower is None and options.upper is None:
            raise ValueError(
                f"{cls.owner} needs option lower or upper; got neither: give the worst {spec.objective.metric} "
                "that a trial may have, or use pruner none"
            )
        if options.lower is not None and options.upper is not None and options.lower >= options.upper:
            raise ValueError(
                f"option lower of {cls.owner} must be below upper; got lower {options.lower:g} with upper "
                f"{options.upper:g}: swap them"
            )

    @classmethod
    def make(cls, spec: Problem) -> ThresholdPruner:
        """As `Pruner.make`."""
        return cls(spec)

    def bracket(self, number: int) -> int:
        """As `Pruner.bracket`."""
        return 0

    def ask_epochs(self, bracket: int | None = None) -> tuple[int, ...]:
        """Every epoch from min_epochs on."""
        return tuple(range(self._options.min_epochs, self._max_epochs + 1))

    def judge(self, trial: Trial) -> Judgement:
        """As `Pruner.judge`."""
        if trial.epochs < self._options.min_epochs:  # granted by what was left of the budget
            return Judgement(action=Action.CONTINUE, reason="not judged yet")
        value, lower, upper = trial.values[-1], self._options.lower, self._options.upper
        if lower is not None and value < lower:
            return Judgement(action=Action.STOP, reason=f"{self._metric} {value:.6g} is below {lower:g}")
        if upper is not None and value > upper:
            return Judgement(action=Action.STOP, reason=f"{self._metric} {value:.6g} is above {upper:g}")
        return Judgement(action=Action.CONTINUE, reason=f"{self._metric} {value:.6g} is within bounds")

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Nothing to remember."""

    def notices(self) -> list[str]:
        """As `Pruner.notices`."""
        return []
