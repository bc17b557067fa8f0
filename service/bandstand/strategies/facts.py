"""What others must know of a strategy, as its class says it: the report, the live view, the rules of a study.

Knows the questions and the usual answers. Must not know any strategy by name. A class that has another base names the
facts last: they are protocols, whose `__init__` does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from bandstand.problem.problem import Problem
from bandstand.strategies.options import Options

__all__ = ["NeededExecutor", "PolicyFacts", "PrunerFacts", "SamplerFacts", "StrategyFacts"]


class SamplerFacts(Protocol):
    """What a sampler's class says of itself and of a study that names it. A sampler inherits the usual answers."""

    options: ClassVar[type[Any]] = Options
    """What may be set for it: a class of `Options`, each of whose fields has a description. (`Any`, as a class may name
    its options more precisely.)"""

    @classmethod
    def draws_at_random_first(cls, spec: Problem) -> int:
        """How many trials with a value it waits for before it fits a model to them; 0 where it does not wait."""
        return 0

    @classmethod
    def points(cls, spec: Problem) -> int | None:
        """How many points it tries, each of them once, so that the study needs no budget; None where it has no grid."""
        return None


class PrunerFacts(Protocol):
    """What a pruner's class says of itself and of a study that names it. A pruner inherits the usual answers."""

    options: ClassVar[type[Any]] = Options
    """What may be set for it: a class of `Options`, each of whose fields has a description. (`Any`, as a class may name
    its options more precisely.)"""

    @classmethod
    def reduction_factor(cls, spec: Problem) -> int | None:
        """Of how many trials at a rung one goes on; None where it does not choose among those at a rung."""
        return None


class NeededExecutor(NamedTuple):
    """The executor that a policy cannot do without."""

    name: str
    """As in the study's setting `executor`."""
    reason: str
    """Why, to follow on the policy's name."""
    instead: str
    """The policy that does without it."""


class PolicyFacts(SamplerFacts, PrunerFacts, Protocol):
    """What the class of a whole strategy says of a study that names it. It inherits the usual answers."""

    has_members: ClassVar[bool] = False
    """Whether its brackets are the members of a population: the trials of one follow one another."""

    needed_executor: ClassVar[NeededExecutor | None] = None
    """What must start and feed the processes that train; None where any executor will do."""

    @classmethod
    def inherits_best(cls, spec: Problem) -> bool:
        """Whether a child begins with the weights of its parent's best epoch rather than of its last."""
        return False


@dataclass(frozen=True, kw_only=True)
class StrategyFacts:
    """The answers of a study's own strategy, whichever parts it is made of."""

    draws_at_random_first: int
    points: int | None
    reduction_factor: int | None
    has_members: bool
    inherits_best: bool
