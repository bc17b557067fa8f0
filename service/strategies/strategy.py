"""The contracts of the policies inside Search.

A strategy is a function of the study's history. It is told every event once it has been applied, keeps caches from
them, and holds no other state: a strategy that was shown the same events decides the same. It has no clock, no input
or output, and no generator that lives on between two calls (see `randomness`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from service.events import Action, Event
from service.history import Trial

if TYPE_CHECKING:
    from service.study import StudySpec

__all__ = ["Judgement", "Proposal", "Pruner", "Sampler", "Strategy"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """What a new trial should be."""

    params: Mapping[str, Any]
    bracket: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """A policy's word on a trial that asks."""

    action: Action
    reason: str


class Strategy(Protocol):
    """The policy of a study: what to propose next and how long it runs."""

    def propose(self, number: int) -> Proposal | None:
        """Params for trial `number`, or None when there is nothing to propose now."""
        ...

    def next_ask(self, trial: Trial, after_epoch: int) -> int:
        """The next epoch, later than `after_epoch` and at most max_epochs, at which the trial must ask."""
        ...

    def judge(self, trial: Trial) -> Judgement:
        """Whether the trial goes on; called when its last recorded epoch is one where it asks."""
        ...

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Take note of an event; `trial`, where the event is about one, has it applied already."""
        ...

    def notices(self) -> list[str]:
        """What the user should be told before the study starts, a sentence each."""
        ...


class Sampler(Protocol):
    """Proposes params."""

    summary: ClassVar[str]
    """One line for the help and the README's table."""

    @classmethod
    def check(cls, spec: StudySpec) -> None:
        """Refuse what cannot work.

        Raises:
            ValueError: one line: rule, value, way out.
        """
        ...

    @classmethod
    def make(cls, spec: StudySpec, ask_epochs: tuple[int, ...]) -> Sampler:
        """The sampler of a study whose trials may be compared at `ask_epochs` (ascending, the last completes)."""
        ...

    def propose(self, number: int) -> Mapping[str, Any] | None:
        """Params for trial `number`, or None when there is nothing to propose now."""
        ...

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`."""
        ...


class Pruner(Protocol):
    """Decides how long a trial runs."""

    summary: ClassVar[str]
    """One line for the help and the README's table."""

    @classmethod
    def check(cls, spec: StudySpec) -> None:
        """As `Sampler.check`."""
        ...

    @classmethod
    def make(cls, spec: StudySpec) -> Pruner:
        """The pruner of a study."""
        ...

    def bracket(self, number: int) -> int:
        """The bracket that trial `number` belongs to."""
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
