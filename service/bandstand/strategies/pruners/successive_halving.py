"""Successive halving, the synchronous kind: a rung is judged when everyone who will reach it has."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PrunerFacts
from bandstand.strategies.options import options_from
from bandstand.strategies.pruners.asha import ASHAOptions, check_halving, key_of
from bandstand.strategies.pruners.rungs import rung_epochs
from bandstand.strategies.randomness import Key
from bandstand.strategies.strategy import Judgement, Promotion, Retirement, Situation
from bandstand.trials.events import Action, Ended, Event, Lost, Paused, Promoted, Proposed, TrialState
from bandstand.trials.history import Trial

__all__ = ["SuccessiveHalvingPruner"]


class SuccessiveHalvingOptions(ASHAOptions):
    """Options of pruner successive-halving."""

    min_epochs: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Epoch of the first rung, at most `max_epochs`. `"auto"` is 3 if a second rung then fits below `max_epochs`, and 1
    otherwise."""
    trials: Annotated[int, Field(ge=1)] | None = None
    """Number of trials in a bracket. Default: as many as leave one trial at the last rung, which is η to the power of
    the number of rungs below `max_epochs`."""


class SuccessiveHalvingPruner(PrunerFacts):
    """Successive halving (Jamieson and Talwalkar, AISTATS 2016; the inner loop of Hyperband, Li et al., JMLR 18, 2018).

    n trials train to the first rung; the best ⌊n/η⌋ go on to the second, the best ⌊n/η²⌋ to the third, and so on. While
    a bracket waits for its last trials, free workers begin the next bracket of n new trials, so that none is idle.
    Failed trials leave their bracket; where fewer than the quota are left, all of them go on.
    """

    options: ClassVar[type[SuccessiveHalvingOptions]] = SuccessiveHalvingOptions
    summary: ClassVar[str] = (
        "Synchronous successive halving: a rung is judged when all trials of the bracket have reached it."
    )
    foresees: ClassVar[bool] = False  # a round is filled when the one before has been judged

    def __init__(self, spec: Problem):
        options = options_from("pruner successive-halving", SuccessiveHalvingOptions, spec.pruner_options)
        self._spec = spec
        self._factor = options.reduction_factor
        self._ask_epochs = rung_epochs(_first_rung(options, spec.max_epochs), self._factor, spec.max_epochs)
        self._size = options.trials or self._factor ** (len(self._ask_epochs) - 1)
        self._proposed = 0
        self._under_way: defaultdict[int, set[int]] = defaultdict(set)  # bracket -> trials neither paused nor ended
        self._paused: defaultdict[int, dict[int, tuple[int, Key]]] = defaultdict(dict)  # bracket -> trial -> epoch, key
        self._to_promote: dict[int, str] = {}
        self._to_retire: dict[int, str] = {}
        self._completed = False

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Pruner.check`."""
        check_halving("pruner successive-halving", spec, SuccessiveHalvingOptions)

    @classmethod
    def reduction_factor(cls, spec: Problem) -> int | None:
        """As `PrunerFacts.reduction_factor`."""
        return options_from("pruner successive-halving", SuccessiveHalvingOptions, spec.pruner_options).reduction_factor

    @classmethod
    def make(cls, spec: Problem) -> SuccessiveHalvingPruner:
        """As `Pruner.make`."""
        return cls(spec)

    def bracket(self, number: int) -> int | None:
        """As `Pruner.bracket`: the one that is not full yet."""
        return self._proposed // self._size

    def ask_epochs(self, bracket: int | None = None) -> tuple[int, ...]:
        """As `Pruner.ask_epochs`."""
        return self._ask_epochs

    def judge(self, trial: Trial) -> Judgement:
        """As `Pruner.judge`."""
        if trial.epochs not in self._ask_epochs:
            return Judgement(action=Action.CONTINUE, reason="no rung")
        return Judgement(action=Action.PAUSE, reason=f"rung {trial.epochs}: waits for the rest of its bracket")

    def promotion(self, situation: Situation) -> Promotion | Retirement | None:
        """As `PromotingPruner.promotion`."""
        for trial, reason in self._to_promote.items():
            return Promotion(trial=trial, reason=reason)
        for trial, reason in self._to_retire.items():
            return Retirement(trial=trial, reason=reason)
        if situation.idle and not situation.may_propose and not self._completed:
            # The budget ended within a bracket, which will not become full. A study should end with a trained model.
            return self._rescue()
        return None

    def _rescue(self) -> Promotion | None:
        """The best of those that came furthest goes on."""
        paused = [place for bracket in self._paused.values() for place in bracket.values()]
        if not paused:
            return None
        highest = max(epoch for epoch, _ in paused)
        _, _, number = min(key for epoch, key in paused if epoch == highest)
        return Promotion(trial=number, reason=f"rung {highest}: the best one when the budget allowed no more trials")

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Pruner.observe`."""
        if trial is None:
            return
        number, bracket = trial.number, trial.bracket
        if isinstance(event, Proposed):
            self._proposed += 1
            self._under_way[bracket].add(number)
        elif isinstance(event, Paused | Lost) and trial.state is TrialState.PAUSED:
            self._under_way[bracket].discard(number)
            self._paused[bracket][number] = trial.epochs, key_of(trial, self._spec)
            self._judge_if_all_are_there(bracket)
        elif isinstance(event, Promoted):
            self._leave(number, bracket)
            self._under_way[bracket].add(number)
        elif isinstance(event, Ended):
            self._leave(number, bracket)
            self._under_way[bracket].discard(number)
            self._completed = self._completed or event.state is TrialState.COMPLETE
            self._judge_if_all_are_there(bracket)

    def notices(self) -> list[str]:
        """Says so when the budget does not cover one bracket."""
        budget = self._spec.budget
        trained, epochs, left = 0, 0, self._size
        for epoch in self._ask_epochs:
            epochs += left * (epoch - trained)
            trained, left = epoch, left // self._factor
        short = [
            f"{have} of {need} {what}"
            for what, have, need in (("trials", budget.trials, self._size), ("epochs", budget.epochs, epochs))
            if have is not None and have < need
        ]
        if not short:
            return []
        return [
            f"the budget is too small for one bracket of successive halving ({' and '.join(short)}). asha-promote does "
            "not wait for a full bracket"
        ]

    def _leave(self, number: int, bracket: int) -> None:
        self._paused[bracket].pop(number, None)
        self._to_promote.pop(number, None)
        self._to_retire.pop(number, None)

    def _judge_if_all_are_there(self, bracket: int) -> None:
        waiting = self._to_promote.keys() | self._to_retire.keys()
        full = self._proposed >= (bracket + 1) * self._size
        if full and not self._under_way[bracket] and not waiting & self._paused[bracket].keys():
            self._judge_bracket(bracket)

    def _judge_bracket(self, bracket: int) -> None:
        """All that are left of a bracket wait at the same rung: settle who goes on."""
        paused = self._paused[bracket]
        if not paused:
            return  # all of them failed
        (epoch,) = {epoch for epoch, _ in paused.values()}
        keys = sorted(key for _, key in paused.values())
        quota = max(1, self._size // self._factor ** (self._ask_epochs.index(epoch) + 1))
        for place, (_, _, number) in enumerate(keys):
            words = f"rung {epoch}: place {place + 1} of {len(keys)}, {quota} may go on"
            (self._to_promote if place < quota else self._to_retire)[number] = words


def _first_rung(options: SuccessiveHalvingOptions, max_epochs: int) -> int:
    """`auto` is 3 where that leaves room for another rung below max_epochs: a bracket's rungs are the same for all."""
    if options.min_epochs != "auto":
        return options.min_epochs
    return 3 if 3 * options.reduction_factor <= max_epochs else 1
