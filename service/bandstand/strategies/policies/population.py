"""A population: members that train side by side, interval by interval, whoever decides which of them go on.

Knows who the members are and what they have reached. Must not know how one takes over from another.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from itertools import count
from math import isfinite
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PolicyFacts
from bandstand.strategies.options import Options
from bandstand.strategies.policies.ranked_trials import RankedTrials
from bandstand.strategies.randomness import generator_for
from bandstand.strategies.strategy import Judgement, Proposal, Retirement, Situation
from bandstand.trials.events import (
    Action,
    Ended,
    Event,
    Extended,
    Lost,
    Measured,
    Paused,
    Promoted,
    Proposed,
    Reopened,
    TrialState,
)
from bandstand.trials.history import Trial

__all__ = ["Population", "PopulationOptions", "changes", "check_interval"]

_USUAL_POPULATION = 20
_INTERVALS = 10


class PopulationOptions(Options):
    """What every policy with a population may be told."""

    population: Annotated[int, Field(ge=2)] | None = None
    """Number of members that train side by side. Default: as many as the budget can train to the end, which is
    `budget.trials`, or `budget.epochs` divided by `max_epochs`. If the budget sets neither, 20."""
    interval: Annotated[int, Field(ge=1)] | None = None
    """Epochs between two comparisons of a member with the others. Default: a tenth of `max_epochs`."""
    explore: tuple[str, ...] | None = None
    """Names of the parameters that change when a member continues from another one. The member takes over all others,
    because its weights depend on them. Default: every float, and the batch size."""


def check_interval(interval: int | None, spec: Problem, sampler: str) -> None:
    """Refuse an interval in which nobody is ever compared.

    Raises:
        ValueError: one line.
    """
    if interval is not None and interval > spec.max_epochs:
        raise ValueError(
            f"option interval of sampler {sampler} must be at most max_epochs; got {interval} "
            f"with max_epochs {spec.max_epochs}"
        )


class Population(PolicyFacts):
    """The slots of a study's population and the trial in each, read from the trials' brackets.

    When all members have ended and there is budget left, another population begins in further slots.
    """

    has_members: ClassVar[bool] = True
    closed = "its population has a fixed number of members, so an enqueued trial has no place in it"

    def __init__(self, spec: Problem, options: PopulationOptions):
        self._spec = spec
        self._population = _population(options, spec)
        self.interval = options.interval or max(1, round(spec.max_epochs / _INTERVALS))
        """Epochs between two comparisons."""
        self._members: list[Trial] = []  # the latest trial of each slot
        self._paused: dict[int, int] = {}  # slot -> when its trial paused
        self._by_training: list[tuple[int, int, int]] = []  # a heap of (epochs, when paused, slot), older ones as well
        self._pauses = count()
        self._first = 0  # slot of the latest population
        self._in_training: set[int] = set()  # its slots whose trial has not ended
        self._fellows = RankedTrials(spec.objective.sign, spec.seed)
        """The latest population's members that have a value."""
        self._parents = RankedTrials(spec.objective.sign, spec.seed)
        """Those that others may go on from: in training, with a checkpoint that leaves something to train."""
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
        elif isinstance(event, Reopened):
            for member in self._members[self._first :]:
                self._rank(member)  # its checkpoint may be gone
        if trial is None:
            return
        slot = trial.bracket
        if isinstance(event, Measured):
            self._epochs_used += 1
        elif isinstance(event, Proposed):
            self._enter(slot, trial)
        elif isinstance(event, Paused | Lost) and trial.state is TrialState.PAUSED:
            self._paused[slot] = next(self._pauses)
            heappush(self._by_training, (trial.epochs, self._paused[slot], slot))
        elif isinstance(event, Promoted | Ended):
            self._paused.pop(slot, None)
        if isinstance(event, Ended):
            self._in_training.discard(slot)
        self._rank(trial)

    def _enter(self, slot: int, trial: Trial) -> None:
        """A trial takes a slot, a new one or that of a trial that has ended."""
        if slot == len(self._members):
            if slot == self._first + self._size:
                self._begin_population()
            self._members.append(trial)
        else:
            for places in (self._fellows, self._parents):
                places.discard(self._members[slot])
            self._members[slot] = trial
        self._in_training.add(slot)

    def _rank(self, trial: Trial) -> None:
        """Bring up to date where a trial stands."""
        if self._members[trial.bracket] is not trial:
            return
        has_value = bool(trial.values) and trial.state is not TrialState.FAILED and isfinite(trial.values[-1])
        _put(self._fellows, trial, has_value)
        can_be_followed = trial.has_own_checkpoint and trial.checkpoint_epoch < self._spec.max_epochs
        _put(self._parents, trial, has_value and can_be_followed and not trial.state.is_final)

    def notices(self) -> list[str]:
        """Says so where the budget does not train the population to the end."""
        epochs, wanted = self._spec.budget.epochs, self._population * self._spec.max_epochs
        if epochs is None or epochs >= wanted:
            return []
        return [
            f"the budget trains each of {self._population} members for only about {epochs // self._population} of "
            f"{self._spec.max_epochs} epochs: set a budget of {wanted} epochs, or lower population or max_epochs"
        ]

    def _wants_members(self) -> bool:
        """Whether the latest population is not complete yet, or over."""
        return len(self._members) < self._first + self._size or not self._in_training

    def _begin_population(self) -> None:
        """Another one, of as many members as what is left of the epochs trains to the end."""
        self._first = len(self._members)
        self._fellows.clear()
        self._parents.clear()
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
        while True:
            _, paused, slot = self._by_training[0]
            if self._paused.get(slot) == paused:
                return slot, self._members[slot]
            heappop(self._by_training)  # it has gone on since

    def _words(self, slot: int, what: str) -> str:
        trial = self._members[slot]
        place = self._fellows.of(trial) or 0
        return f"epoch {trial.epochs}: place {place + 1} of {len(self._fellows)}, {what}"


def _put(places: RankedTrials, trial: Trial, belongs: bool) -> None:
    if belongs:
        places.put(trial)
    else:
        places.discard(trial)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """What differs between two members' params, for people."""
    differing = [
        f"{name} {_short(before[name])} to {_short(value)}" for name, value in after.items() if before[name] != value
    ]
    return ", ".join(differing) or "unchanged"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _population(options: PopulationOptions, spec: Problem) -> int:
    budget = spec.budget
    if options.population is not None:
        return options.population
    if budget.trials is not None:
        return max(2, budget.trials)
    return _USUAL_POPULATION if budget.epochs is None else min(max(2, budget.epochs // spec.max_epochs), 100)
