"""ASHA, the stopping kind: a trial goes on past a rung if it is in the best 1/η of those that have reached it.

The kind that pauses and promotes is in `asha_promote`.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PrunerFacts
from bandstand.strategies.options import Options, check_min_epochs, options_from
from bandstand.strategies.pruners.first_rung import FirstRung
from bandstand.strategies.pruners.rungs import Rung, rung_epochs
from bandstand.strategies.randomness import Key, key_with_coin
from bandstand.strategies.strategy import Judgement
from bandstand.trials.events import Action, Event, Measured
from bandstand.trials.history import Trial

__all__ = ["ASHAOptions", "ASHAPruner", "check_halving", "key_of"]


class ASHAOptions(Options):
    """Options of the pruners asha, asha-promote and hyperband."""

    min_epochs: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Epoch of the first rung, at most `max_epochs`. `"auto"` learns it from the trials of the study: the lowest rung
    whose ranking agrees with the ranking at the next rung."""
    reduction_factor: Annotated[int, Field(ge=2)] = 3
    """Reduction factor (η): at each rung, the best 1/η of the trials go on."""

    @property
    def lowest_rung(self) -> int:
        """The lowest epoch at which any trial is judged."""
        return 1 if self.min_epochs == "auto" else self.min_epochs


def check_halving(owner: str, spec: Problem, model: type[ASHAOptions] = ASHAOptions) -> None:
    """Refuse options of a halving pruner that cannot work.

    Raises:
        ValueError: one line.
    """
    options = options_from(owner, model, spec.pruner_options)
    check_min_epochs(owner, options.lowest_rung, spec.max_epochs)


class ASHAPruner(PrunerFacts):
    """Asynchronous successive halving that stops instead of pausing.

    Rungs at min_epochs·η^k, counted from epoch 1 (Li et al., A System for Massively Parallel Hyperparameter Tuning,
    MLSys 2020; the stopping variant as in Syne Tune, AutoML 2022). A trial is compared by its value at the rung's
    epoch with all that have reached the rung so far, itself included, and goes on if it is among the best
    max(1, n/η) of those n. The last epoch completes a trial rather than judging it.
    """

    options: ClassVar[type[ASHAOptions]] = ASHAOptions
    summary: ClassVar[str] = (
        "Asynchronous successive halving: at each rung the best 1/η of the trials go on, and the others stop."
    )

    def __init__(self, spec: Problem):
        options = options_from("pruner asha", ASHAOptions, spec.pruner_options)
        self._spec = spec
        self._factor = options.reduction_factor
        self._ask_epochs = rung_epochs(options.lowest_rung, self._factor, spec.max_epochs)
        self._rungs = {epoch: Rung() for epoch in self._ask_epochs[:-1]}
        learns = options.min_epochs == "auto"
        self._first = FirstRung(spec, self._ask_epochs, self._factor) if learns else None

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Pruner.check`."""
        check_halving("pruner asha", spec)

    @classmethod
    def reduction_factor(cls, spec: Problem) -> int | None:
        """As `PrunerFacts.reduction_factor`."""
        return options_from("pruner asha", ASHAOptions, spec.pruner_options).reduction_factor

    @classmethod
    def make(cls, spec: Problem) -> ASHAPruner:
        """As `Pruner.make`."""
        return cls(spec)

    @property
    def foresees(self) -> bool:
        """As `Pruner.foresees`: not where the first rung is learned."""
        return self._first is None

    def bracket(self, number: int) -> int:
        """As `Pruner.bracket`: here the rung at which the trial is judged first, counted from 0."""
        return 0 if self._first is None else self._first.start_of(number)

    def ask_epochs(self, bracket: int | None = None) -> tuple[int, ...]:
        """As `Pruner.ask_epochs`."""
        return self._ask_epochs[bracket or 0 :]

    def judge(self, trial: Trial) -> Judgement:
        """As `Pruner.judge`."""
        rung = self._rungs.get(trial.epochs)
        if rung is None or trial.epochs not in self.ask_epochs(trial.bracket):
            # the epoch was granted by what was left of the budget, not by a rung
            return Judgement(action=Action.CONTINUE, reason="no rung")
        rank = rung.rank(self._key(trial))
        quota = max(1, len(rung) // self._factor)
        action = Action.CONTINUE if rank < quota else Action.STOP
        return Judgement(
            action=action, reason=f"rung {trial.epochs}: place {rank + 1} of {len(rung)}, {quota} may go on"
        )

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Enter a trial at a rung it has reached."""
        if self._first is not None:
            self._first.observe(event, trial)
        if isinstance(event, Measured) and trial is not None and isfinite(trial.values[-1]):
            rung = self._rungs.get(event.epoch)
            if rung is not None and event.epoch in self.ask_epochs(trial.bracket):
                rung.add(self._key(trial))

    def notices(self) -> list[str]:
        """As `Pruner.notices`."""
        return []

    def _key(self, trial: Trial) -> Key:
        return key_of(trial, self._spec)


def key_of(trial: Trial, spec: Problem) -> Key:
    """What a trial is ranked by at the rung that it has just reached."""
    return key_with_coin(spec.objective.sign * trial.values[-1], spec.seed, trial.number)
