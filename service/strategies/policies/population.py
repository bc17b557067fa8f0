"""A population: members that train side by side, interval by interval, whoever decides which of them go on.

Knows who the members are and what they have reached. Must not know how one takes over from another.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from service.events import Action, Ended, Event, Extended, Lost, Measured, Paused, Promoted, Proposed, TrialState
from service.history import Trial
from service.strategies.options import Options
from service.strategies.randomness import coin_for, generator_for
from service.strategies.strategy import Judgement, Proposal, Retirement, Situation

if TYPE_CHECKING:
    from service.study import StudySpec

__all__ = ["Population", "PopulationOptions", "changes", "check_interval"]

_USUAL_POPULATION = 20
_INTERVALS = 10


class PopulationOptions(Options):
    """What every policy with a population may be told."""

    population: Annotated[int, Field(ge=2)] | None = None
    """Members; left out, as many as the budget can train to the end (the trials of the budget, or its epochs over
    max_epochs), and 20 where it sets neither."""
    interval: Annotated[int, Field(ge=1)] | None = None
    """Epochs between two comparisons of a member with the others; left out, a tenth of max_epochs."""
    explore: tuple[str, ...] | None = None
    """Parameters that change when a member goes on from another; left out, every float and the batch size. All others
    are taken over, as the weights depend on them."""


def check_interval(interval: int | None, spec: StudySpec, sampler: str) -> None:
    """Refuse an interval in which nobody is ever compared.

    Raises:
        ValueError: one line.
    """
    if interval is not None and interval > spec.max_epochs:
        raise ValueError(
            f"option interval of sampler {sampler} must be at most max_epochs; got {interval} "
            f"with max_epochs {spec.max_epochs}"
        )


class Population:
    """The slots of a study's population and the trial in each, read from the trials' brackets.

    When all members have ended and there is budget left, another population begins in further slots.
    """

    closed = "its population is complete by itself, and a trial from outside would have no place in it"

    def __init__(self, spec: StudySpec, options: PopulationOptions):
        self._spec = spec
        self._population = _population(options, spec)
        self.interval = options.interval or max(1, round(spec.max_epochs / _INTERVALS))
        """Epochs between two comparisons."""
        self._members: list[Trial] = []  # the latest trial of each slot
        self._paused: dict[int, Trial] = {}  # slot -> its trial, in the order in which they paused
        self._first = 0  # slot of the latest population
        self._size = self._population
        self._epochs_used = 0
        self._epochs = spec.budget.epochs

    def adopt(self, params: Mapping[str, Any], number: int) -> Proposal | None:
        """As `Strategy.adopt`: never."""
        return None

    def next_ask(self, trial: Trial, after_epoch: int) -> int:
        """As `Strategy.next_ask`: the next multiple of the interval."""
        return min((after_epoch // self.interval + 1) * self.interval, self._spec.max_epochs)

    def judge(self, trial: Trial) -> Judgement:
        """As `Strategy.judge`: it is compared when a worker is free for it."""
        if trial.epochs % self.interval:
            return Judgement(action=Action.CONTINUE, reason="between two comparisons")
        return Judgement(action=Action.PAUSE, reason=f"epoch {trial.epochs}: waits to be compared")

    def at_end(self, trial: Trial) -> Retirement:
        """As `Strategy.at_end`."""
        return Retirement(trial=trial.number, reason="budget", completes=True)

    def keeps(self, trial: Trial) -> bool:
        """As `Strategy.keeps`: parents are members that are still in training."""
        return False

    def ask_epochs(self) -> tuple[int, ...]:
        """As `Strategy.ask_epochs`."""
        epochs = range(self.interval, self._spec.max_epochs, self.interval)
        return (*epochs, self._spec.max_epochs)

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        if isinstance(event, Extended):
            self._epochs = int(event.budget["epochs"]) if "epochs" in event.budget else None
        if trial is None:
            return
        slot = trial.bracket
        if isinstance(event, Measured):
            self._epochs_used += 1
        elif isinstance(event, Proposed):
            if slot == len(self._members):
                if slot == self._first + self._size:
                    self._begin_population()
                self._members.append(trial)
            else:
                self._members[slot] = trial
        elif isinstance(event, Paused | Lost) and trial.state is TrialState.PAUSED:
            self._paused[slot] = trial
        elif isinstance(event, Promoted | Ended):
            self._paused.pop(slot, None)

    def notices(self) -> list[str]:
        """Says so where the budget does not train the population to the end."""
        epochs, wanted = self._spec.budget.epochs, self._population * self._spec.max_epochs
        if epochs is None or epochs >= wanted:
            return []
        return [
            f"the budget trains each of {self._population} members for about {epochs // self._population} of "
            f"{self._spec.max_epochs} epochs: give {wanted} epochs, or a smaller population or max_epochs"
        ]

    def _wants_members(self) -> bool:
        """Whether the latest population is not complete yet, or over."""
        if len(self._members) < self._first + self._size:
            return True
        return all(member.state.is_final for member in self._members[self._first :])

    def _begin_population(self) -> None:
        """Another one, of as many members as what is left of the epochs trains to the end."""
        self._first = len(self._members)
        if self._epochs is not None:
            left = self._epochs - self._epochs_used
            self._size = min(self._population, max(1, left // self._spec.max_epochs))

    def _new_member(self, situation: Situation) -> Proposal | None:
        """A member that has no parent, where one is wanted."""
        if not (situation.may_propose and self._wants_members()):
            return None
        params = self._spec.space.sample(generator_for(self._spec.seed, situation.number, "propose"))
        return Proposal(params=params, bracket=len(self._members))

    def _least_trained(self) -> tuple[int, Trial]:
        """The paused member that has trained least, with its slot; of equals the one that paused first."""
        return min(self._paused.items(), key=lambda item: item[1].epochs)

    def _fellows(self, slot: int) -> list[Trial]:
        """The population of a slot, itself included, best first; those without a value are left out."""
        slots = range(self._first, len(self._members)) if slot >= self._first else range(self._first)
        members = [self._trial_with_value(slot) for slot in slots]
        known = [trial for trial in members if trial is not None]
        sign, seed = self._spec.objective.sign, self._spec.seed
        return sorted(known, key=lambda trial: (sign * trial.values[-1], coin_for(seed, trial.number)))

    def _trial_with_value(self, slot: int) -> Trial | None:
        trial = self._members[slot]
        if not trial.values or trial.state is TrialState.FAILED or not isfinite(trial.values[-1]):
            return None
        return trial

    def _words(self, slot: int, what: str) -> str:
        fellows = self._fellows(slot)
        place = next((place for place, trial in enumerate(fellows) if trial.bracket == slot), 0) + 1
        return f"epoch {self._members[slot].epochs}: place {place} of {len(fellows)}, {what}"


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What differs between two members' params, for people."""
    differing = [
        f"{name} {_short(before[name])} to {_short(value)}" for name, value in after.items() if before[name] != value
    ]
    return ", ".join(differing) or "unchanged"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _population(options: PopulationOptions, spec: StudySpec) -> int:
    budget = spec.budget
    if options.population is not None:
        return options.population
    if budget.trials is not None:
        return max(2, budget.trials)
    return _USUAL_POPULATION if budget.epochs is None else min(max(2, budget.epochs // spec.max_epochs), 100)
