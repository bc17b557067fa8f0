"""The median stopping rule."""

from __future__ import annotations

from bisect import insort
from math import isfinite
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from service.events import Action, Ended, Event, TrialState
from service.history import Trial
from service.strategies.options import Options, options_from
from service.strategies.strategy import Judgement

if TYPE_CHECKING:
    from service.study import StudySpec

__all__ = ["MedianPruner"]


class MedianOptions(Options):
    """Options of pruner median."""

    startup_trials: Annotated[int, Field(ge=1)] = 5
    """Completed trials before any is stopped."""
    min_epochs: Annotated[int, Field(ge=1)] = 1
    """The first epoch that is judged."""


class MedianPruner:
    """Stops a trial whose best value so far is worse than the median of what completed trials had at this epoch.

    After Golovin et al., Google Vizier, KDD 2017, section 3.2.1, with single values instead of running averages, as
    Optuna's MedianPruner has it.
    """

    summary: ClassVar[str] = "stops what is worse than the median of completed trials at the same epoch"

    def __init__(self, spec: StudySpec):
        self._options = options_from("pruner median", MedianOptions, spec.pruner_options)
        self._sign = spec.objective.sign
        self._max_epochs = spec.max_epochs
        self._completed = 0
        self._losses: dict[int, list[float]] = {}

    @classmethod
    def check(cls, spec: StudySpec) -> None:
        """As `Pruner.check`."""
        options = options_from("pruner median", MedianOptions, spec.pruner_options)
        if options.min_epochs > spec.max_epochs:
            raise ValueError(
                f"option min_epochs of pruner median must be at most max_epochs; got {options.min_epochs} "
                f"with max_epochs {spec.max_epochs}"
            )

    @classmethod
    def make(cls, spec: StudySpec) -> MedianPruner:
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
        epoch = trial.epochs
        if epoch < self._options.min_epochs:  # granted by what was left of the budget
            return Judgement(action=Action.CONTINUE, reason="not judged yet")
        others = self._losses.get(epoch, [])
        if self._completed < self._options.startup_trials or not others:
            return Judgement(action=Action.CONTINUE, reason="too few completed trials to compare with")
        middle = len(others) // 2
        median = others[middle] if len(others) % 2 else (others[middle - 1] + others[middle]) / 2
        best = min(self._sign * value for value in trial.values if isfinite(value))
        action = Action.STOP if best > median else Action.CONTINUE
        return Judgement(action=action, reason=f"best {self._sign * best:.6g}, median {self._sign * median:.6g}")

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
