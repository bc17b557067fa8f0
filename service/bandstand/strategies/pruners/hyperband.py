"""Hyperband: several ASHA brackets with promotion that start at different epochs, filled by quota."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.pruners.asha import ASHAOptions
from bandstand.strategies.pruners.asha_promote import PromotingASHAPruner
from bandstand.strategies.pruners.rungs import rung_epochs
from bandstand.trials.events import Event, Proposed
from bandstand.trials.history import Trial

__all__ = ["HyperbandPruner", "bracket_table"]


def bracket_table(min_epochs: int, reduction_factor: int, max_epochs: int) -> list[tuple[int, tuple[int, ...]]]:
    """(trials, rung epochs) of each bracket in one round, the most aggressive bracket first.

    Trials per bracket are ⌊(s_max+1)/(s+1)⌋·η^s, as in the table of Li et al. (JMLR 18, 2018): for R=81, η=3 it has
    81, 27, 9, 6 and 5 trials that start with 1, 3, 9, 27 and 81 epochs.
    """
    rungs = rung_epochs(min_epochs, reduction_factor, max_epochs)
    # A first rung within a factor η of the end would hardly differ from training everything.
    starts = [epoch for epoch in rungs[:-1] if epoch * reduction_factor <= max_epochs] + [max_epochs]
    top = len(starts) - 1
    return [
        ((top + 1) // (s + 1) * reduction_factor**s, rung_epochs(starts[top - s], reduction_factor, max_epochs))
        for s in range(top, -1, -1)
    ]


class HyperbandOptions(ASHAOptions):
    """Options of pruner hyperband."""

    min_epochs: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Epoch of the first rung of the most aggressive bracket, at most `max_epochs`. `"auto"` is 1, because the brackets
    start at different epochs anyway."""


class HyperbandPruner(PromotingASHAPruner):
    """Asynchronous Hyperband (Li et al., MLSys 2020, section 3.3): each bracket is an ASHA with its own first rung.

    A new trial goes to the bracket that is furthest behind its share of a round, so that no bracket stays empty
    (assignment by a hash of the trial leaves one empty in almost half of all short studies).
    """

    options: ClassVar[type[ASHAOptions]] = HyperbandOptions
    summary: ClassVar[str] = (
        "Several brackets of asha-promote with different first rungs. Each bracket gets its share of the trials."
    )
    owner: ClassVar[str] = "pruner hyperband"

    def __init__(self, spec: Problem, options: ASHAOptions | None = None):
        super().__init__(spec, options)
        self._filled = [0] * len(self._quotas)

    def _brackets(self, options: ASHAOptions) -> list[tuple[int, ...]]:
        # Hyperband hedges over first rungs by itself, so it begins at 1.
        table = bracket_table(options.lowest_rung, options.reduction_factor, self._spec.max_epochs)
        self._quotas: list[int] = [trials for trials, _ in table]
        return [epochs for _, epochs in table]

    def _ladder(self, bracket: int) -> int:
        """Each bracket compares its trials among themselves."""
        return bracket

    @classmethod
    def make(cls, spec: Problem) -> HyperbandPruner:
        """As `Pruner.make`."""
        return cls(spec)

    def bracket(self, number: int) -> int:
        """The bracket with the smallest filled share; of equal ones the more aggressive."""
        return min(range(len(self._quotas)), key=lambda index: (self._filled[index] / self._quotas[index], index))

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Pruner.observe`."""
        if isinstance(event, Proposed):
            self._filled[event.bracket] += 1
        super().observe(event, trial)

    def notices(self) -> list[str]:
        """Says so when the budget does not cover one round of all brackets."""
        trials = sum(self._quotas)
        epochs = sum(
            self._epochs_of_round(quota, rungs) for quota, rungs in zip(self._quotas, self._ask_epochs, strict=True)
        )
        budget = self._spec.budget
        short = [
            f"{have} of {need} {what}"
            for what, have, need in (("trials", budget.trials, trials), ("epochs", budget.epochs, epochs))
            if have is not None and have < need
        ]
        if not short:
            return []
        return [
            f"the budget is too small for one round of Hyperband ({' and '.join(short)}). The brackets are filled in "
            "proportion, but asha compares more trials per rung"
        ]

    def _epochs_of_round(self, quota: int, rungs: tuple[int, ...]) -> int:
        """Epochs one bracket trains in a round when one in η goes on at each rung."""
        total, trained = 0, 0
        for epoch in rungs:
            total += quota * (epoch - trained)
            trained, quota = epoch, max(1, quota // self._factor)
        return total
