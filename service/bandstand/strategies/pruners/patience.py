"""Patience: a trial that has not got better for a while is stopped, whatever other trials do."""

from __future__ import annotations

from math import isfinite
from typing import Annotated, ClassVar

from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PrunerFacts
from bandstand.strategies.options import Options, check_min_epochs, options_from
from bandstand.strategies.strategy import Judgement
from bandstand.trials.events import Action, Event
from bandstand.trials.history import Trial

__all__ = ["PatiencePruner"]


class PatienceOptions(Options):
    """Options of pruner patience."""

    patience: Annotated[int, Field(ge=1)] = 5
    """Number of epochs without an improvement after which a trial is stopped."""
    min_delta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Smallest improvement that counts, in units of the metric. With 0, every improvement counts."""
    min_epochs: Annotated[int, Field(ge=1)] = 1
    """First epoch that is judged, at most `max_epochs`. No trial is judged before epoch `patience` + 1."""


class PatiencePruner(PrunerFacts):
    """Stops a trial when the best of its last `patience` epochs does not improve on its best before by `min_delta`.

    The comparison of Optuna's PatientPruner around no other pruner, with `min_delta` as in Keras's EarlyStopping: an
    improvement smaller than it is none. (Optuna's is a tolerance: there a trial is stopped when it got worse by more.)
    Unlike a callback's early stopping the trial counts as pruned: it is worse than its own past, not finished.
    """

    options: ClassVar[type[PatienceOptions]] = PatienceOptions
    summary: ClassVar[str] = "Stops a trial that has not improved by `min_delta` in its last `patience` epochs."
    foresees: ClassVar[bool] = True
    owner: ClassVar[str] = "pruner patience"

    def __init__(self, spec: Problem):
        self._options = options_from(self.owner, PatienceOptions, spec.pruner_options)
        self._sign = spec.objective.sign
        self._max_epochs = spec.max_epochs
        self._first = max(self._options.min_epochs, self._options.patience + 1)

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Pruner.check`."""
        options = options_from(cls.owner, PatienceOptions, spec.pruner_options)
        check_min_epochs(cls.owner, options.min_epochs, spec.max_epochs)

    @classmethod
    def make(cls, spec: Problem) -> PatiencePruner:
        """As `Pruner.make`."""
        return cls(spec)

    def bracket(self, number: int) -> int:
        """As `Pruner.bracket`."""
        return 0

    def ask_epochs(self, bracket: int | None = None) -> tuple[int, ...]:
        """Every epoch from the first that has `patience` epochs and one more behind it."""
        return tuple(range(min(self._first, self._max_epochs), self._max_epochs + 1))

    def judge(self, trial: Trial) -> Judgement:
        """As `Pruner.judge`."""
        patience = self._options.patience
        losses = [self._sign * value for value in trial.values]
        before = [loss for loss in losses[:-patience] if isfinite(loss)]
        latest = [loss for loss in losses[-patience:] if isfinite(loss)]
        if trial.epochs < self._first or not before or not latest:
            return Judgement(action=Action.CONTINUE, reason="not judged yet")
        improvement = min(before) - min(latest)
        action = Action.CONTINUE if improvement > 0 and improvement >= self._options.min_delta else Action.STOP
        words = (
            f"best {self._sign * min(latest):.6g} in the last {patience} epochs, {self._sign * min(before):.6g} before"
        )
        return Judgement(action=action, reason=words)

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Nothing to remember: a trial is compared with itself."""

    def notices(self) -> list[str]:
        """Says so when no trial can ever be stopped."""
        if self._first < self._max_epochs:
            return []
        return [
            f"pruner patience never stops a trial: it judges from epoch {self._first} on, and epoch {self._max_epochs} "
            "completes a trial; lower option patience"
        ]
