"""No pruning: every trial trains all its epochs."""

from __future__ import annotations

from typing import ClassVar

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PrunerFacts
from bandstand.strategies.options import Options, options_from
from bandstand.strategies.strategy import Judgement
from bandstand.trials.events import Action, Event
from bandstand.trials.history import Trial

__all__ = ["NoPruner"]


class NoPruner(PrunerFacts):
    """Never stops a trial."""

    summary: ClassVar[str] = "Trains every trial for all its epochs."
    foresees: ClassVar[bool] = True

    def __init__(self, max_epochs: int):
        self._max_epochs = max_epochs

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Pruner.check`."""
        options_from("pruner none", Options, spec.pruner_options)

    @classmethod
    def make(cls, spec: Problem) -> NoPruner:
        """As `Pruner.make`."""
        return cls(spec.max_epochs)

    def bracket(self, number: int) -> int:
        """As `Pruner.bracket`."""
        return 0

    def ask_epochs(self, bracket: int | None = None) -> tuple[int, ...]:
        """As `Pruner.ask_epochs`."""
        return (self._max_epochs,)

    def judge(self, trial: Trial) -> Judgement:
        """As `Pruner.judge`."""
        return Judgement(action=Action.CONTINUE, reason="no pruning")

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Nothing to remember."""

    def notices(self) -> list[str]:
        """As `Pruner.notices`."""
        return []
