"""The contracts of the policies inside Search.

A strategy is a function of the study's history. It is told every event once it has been applied, keeps caches from
them, and holds no other state: a strategy that was shown the same events decides the same. It has no clock, no input
or output, and no generator that lives on between two calls (see `randomness`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PolicyFacts, PrunerFacts, SamplerFacts
from bandstand.trials.combination import Combination
from bandstand.trials.events import Action, Event
from bandstand.trials.history import Trial

__all__ = [
    "AvoidingStrategy",
    "CombiningPolicy",
    "ForeseeingSampler",
    "ForeseeingStrategy",
    "Judgement",
    "NotifyingSampler",
    "Policy",
    "PromotingPruner",
    "Promotion",
    "Proposal",
    "Pruner",
    "Retirement",
    "Sampler",
    "Situation",
    "Step",
    "Strategy",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What a new trial should be. The fields after `bracket` are as in event `Proposed`."""

    params: Mapping[str, Any]
    bracket: int = 0
    parent: int | None = None
    from_epoch: int = 0
    weights: str = "last"
    learning_rates: tuple[float, ...] = ()
    origin: str | None = None
    request: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Promotion:
    """A paused trial goes on to the next epoch where it asks."""

    trial: int
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Retirement:
    """A paused trial ends."""

    trial: int
    reason: str
    completes: bool = False
    """It ends as one that was not judged worse."""


Step = Proposal | Promotion | Retirement


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """A policy's word on a trial that asks. With PAUSE it trains on only if it is promoted later."""

    action: Action
    reason: str
    completes: bool = False
    """With STOP: the trial ends as one that was not judged worse, and its model may be the study's result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What a policy may want to know beyond the events when a worker is free."""

    number: int
    """Of the next trial."""
    may_propose: bool
    """Whether the budget has room for a new trial that has no parent."""
    idle: bool
    """Whether no worker has a trial, so that nothing will happen unless the policy goes on."""


class Strategy(Protocol):
    """The policy of a study: what to propose next and how long it runs."""

    exhausted: str
    """Why a study ends whose strategy has nothing more to try while there is budget left."""

    @property
    def closed(self) -> str | None:
        """Why no trial can be brought in from outside; None where `adopt` makes one."""
        ...

    def adopt(self, params: Mapping[str, Any], number: int) -> Proposal | None:
        """What trial `number` with params that a user wants tried should be, None where it must wait.

        Events tell of it as of any other; its `request` tells it from the strategy's own.
        """
        ...

    def step(self, situation: Situation) -> Step | None:
        """What to do for a free worker when no trial waits, or None when there is nothing to do now."""
        ...

    def next_ask(self, trial: Trial, after_epoch: int) -> int:
        """The next epoch, later than `after_epoch` and at most max_epochs, at which the trial must ask."""
        ...

    def judge(self, trial: Trial) -> Judgement:
        """Whether the trial goes on; called when its last recorded epoch is one where it asks."""
        ...

    def at_end(self, trial: Trial) -> Retirement:
        """How a trial ends that is paused when the study is over."""
        ...

    def keeps(self, trial: Trial) -> bool:
        """Whether a trial that has ended may still become a parent, so that its checkpoint must stay."""
        ...

    def ask_epochs(self) -> tuple[int, ...]:
        """Where trials may be compared, ascending; the last is max_epochs."""
        ...

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Take note of an event; `trial`, where the event is about one, has it applied already."""
        ...

    def notices(self) -> list[str]:
        """What the user should be told before the study starts, a sentence each."""
        ...


@runtime_checkable
class ForeseeingStrategy(Strategy, Protocol):
    """A strategy that may be able to say early what it will propose."""

    @property
    def foresees(self) -> bool:
        """Whether its new trials are the same whenever they are proposed."""
        ...

    def foresee(self, situation: Situation) -> Proposal | None:
        """The next new trial, for which no worker is free yet."""
        ...

    def overtaking(self, situation: Situation) -> Promotion | Retirement | None:
        """What a free worker should do before it begins a trial that was foreseen."""
        ...


@runtime_checkable
class AvoidingStrategy(Strategy, Protocol):
    """A strategy that may look at its proposals for what is likely to fail."""

    @property
    def avoids(self) -> bool:
        """Whether it does."""
        ...


class Policy(Strategy, PolicyFacts, Protocol):
    """A whole strategy that is chosen by one name; what others must know of it, it has from `PolicyFacts`."""

    summary: ClassVar[str]
    """One line for the help and the README's table."""

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        ...

    @classmethod
    def make(cls, spec: Problem) -> Policy:
        """The strategy of a study."""
        ...


@runtime_checkable
class CombiningPolicy(Policy, Protocol):
    """A policy whose study may end with a model that is made of several trials' weights."""

    def combination(self, best: Trial) -> Combination | None:
        """What to put together beside the best trial's snapshot, by what is known so far; None: the snapshot alone."""
        ...

    def keeps_end(self, trial: Trial) -> bool:
        """Whether a trial that stops after its latest epoch must leave a checkpoint of it."""
        ...


class Sampler(SamplerFacts, Protocol):
    """Proposes params; what others must know of it, it has from `SamplerFacts`."""

    summary: ClassVar[str]
    """One line for the help and the README's table."""

    @classmethod
    def check(cls, spec: Problem) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: one line: rule, value, way out.
        """
        ...

    @classmethod
    def make(cls, spec: Problem, ask_epochs: tuple[int, ...]) -> Sampler:
        """The sampler of a study whose trials may be compared at `ask_epochs` (ascending, the last completes)."""
        ...

    def propose(self, number: int) -> Mapping[str, Any] | None:
        """Params for trial `number`, or None when there is nothing to propose now."""
        ...

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        ...


@runtime_checkable
class ForeseeingSampler(Sampler, Protocol):
    """A sampler that learns nothing from values, so that it may be asked for a trial before a worker is free for it."""

    foresees: ClassVar[bool]
    """True. What it proposes depends on what it has proposed, and at most on which trials failed."""


@runtime_checkable
class NotifyingSampler(Sampler, Protocol):
    """A sampler that may have something to tell the user before the study starts."""

    def notices(self) -> list[str]:
        """As `Strategy.notices`."""
        ...


class Pruner(PrunerFacts, Protocol):
    """Decides how long a trial runs; what others must know of it, it has from `PrunerFacts`."""

    summary: ClassVar[str]
    """One line for the help and the README's table."""

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        ...

    @classmethod
    def make(cls, spec: Problem) -> Pruner:
        """The pruner of a study."""
        ...

    @property
    def foresees(self) -> bool:
        """Whether the bracket of a new trial depends on nothing but the trials proposed before it."""
        ...

    def bracket(self, number: int) -> int | None:
        """The bracket that a new trial `number` belongs to; None where no new trial is wanted now."""
        ...

    def ask_epochs(self, bracket: int | None = None) -> tuple[int, ...]:
        """Where trials of a bracket (None: of any) ask, ascending; the last is max_epochs."""
        ...

    def judge(self, trial: Trial) -> Judgement:
        """As `Strategy.judge`."""
        ...

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        ...

    def notices(self) -> list[str]:
        """As `Strategy.notices`."""
        ...


@runtime_checkable
class PromotingPruner(Pruner, Protocol):
    """A pruner that pauses trials at rungs, and says which of them go on."""

    def promotion(self, situation: Situation) -> Promotion | Retirement | None:
        """Which paused trial goes on, or ends, before a new one is tried."""
        ...
