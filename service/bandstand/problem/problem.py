"""The problem of a study: everything that decides what is tried next, and for how long.

A Protocol, which `StudySpec` fulfils: its fields keep the order in which users see them, and whoever tests a strategy
may hand it anything of this shape. Must not know strategies, nor how a trial is trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bandstand.problem.budget import Budget
from bandstand.problem.objective import Objective
from bandstand_spaces import SearchSpace

__all__ = ["Problem"]


class Problem(Protocol):
    """What strategies and a Search may read of a study. Nothing of it ever changes."""

    @property
    def space(self) -> SearchSpace:
        """What may be tried."""
        ...

    @property
    def objective(self) -> Objective:
        """What a trial is judged by."""
        ...

    @property
    def budget(self) -> Budget:
        """What may be spent, as the study began; events may have raised it since."""
        ...

    @property
    def max_epochs(self) -> int:
        """Epochs that complete a trial."""
        ...

    @property
    def batch_size(self) -> int | str:
        """A number, or the name of the parameter that holds it."""
        ...

    @property
    def seed(self) -> int:
        """That every draw is derived from, with the trial's number."""
        ...

    @property
    def sampler(self) -> str:
        """The name of a sampler, or of a whole strategy."""
        ...

    @property
    def sampler_options(self) -> Mapping[str, Any]:
        """As the user has written them."""
        ...

    @property
    def pruner(self) -> str:
        """The name of a pruner; empty where a whole strategy decides how long trials train."""
        ...

    @property
    def pruner_options(self) -> Mapping[str, Any]:
        """As the user has written them."""
        ...

    @property
    def max_attempts(self) -> int:
        """How often a trial is begun at most when its worker dies under it."""
        ...

    @property
    def avoid_failures(self) -> bool | None:
        """Whether proposals that are likely to fail are drawn again; None, as no, for studies older than this."""
        ...

    def notices(self) -> list[str]:
        """What the user should know before the study begins, though no rule is broken."""
        ...
