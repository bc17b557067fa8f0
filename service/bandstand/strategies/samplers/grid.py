"""Grid search: every point of a finite space exactly once, failed ones once more, unless they are too large."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import SamplerFacts
from bandstand.strategies.points.grid_points import GridOptions, affordable_trainings, grid_of
from bandstand.strategies.points.lattice import Lattice
from bandstand.strategies.points.visited import Visited
from bandstand.strategies.randomness import generator_for
from bandstand.trials.events import Ended, Event, Proposed, TrialState
from bandstand.trials.failure_kinds import OUT_OF_MEMORY
from bandstand.trials.history import Trial
from bandstand_spaces import SearchSpace

__all__ = ["GridSampler"]

MAX_POINTS = 1_000_000


class GridSampler(SamplerFacts):
    """Visits the grid in a seeded order that covers early, so that a study cut short has still looked everywhere."""

    options: ClassVar[type[GridOptions]] = GridOptions
    summary: ClassVar[str] = (
        "Tries every point of a finite space once, and a failed point once more (not one that ran out of memory)."
    )
    foresees: ClassVar[bool] = True

    def __init__(
        self, space: SearchSpace, seed: int, notices: Sequence[str] = (), hopeless: Collection[str] = frozenset()
    ):
        """A grid; points whose trials fail for a reason in `hopeless` are not visited again."""
        self._hopeless = hopeless
        self._notices = list(notices)
        self._lattice = Lattice(space)
        self._order = self._lattice.covering_order(generator_for(seed, 0, "order"))
        self._next = 0  # all points before it in the order were visited
        self._visited = Visited(space)
        self._failed: list[Mapping[str, Any]] = []

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        grid = grid_of(spec)
        if grid.size is not None and grid.size > MAX_POINTS:
            raise ValueError(
                f"sampler grid visits at most {MAX_POINTS:,} points; the space has {grid.size:,}: "
                "use larger steps or fewer points, or sampler random or tpe"
            )

    @classmethod
    def make(cls, spec: Problem, ask_epochs: tuple[int, ...]) -> GridSampler:
        """As `Sampler.make`."""
        space = grid_of(spec)
        hopeless = {OUT_OF_MEMORY} if spec.avoid_failures else frozenset()
        return cls(space, spec.seed, _notices_on(spec, space.size or 0), hopeless)

    @classmethod
    def points(cls, spec: Problem) -> int | None:
        """As `SamplerFacts.points`."""
        return grid_of(spec).size

    def notices(self) -> list[str]:
        """As `Strategy.notices`: says so where the budget is less than a full training of each point."""
        return self._notices

    def propose(self, number: int) -> Mapping[str, Any] | None:
        """The next point not yet visited, then the failed ones, then None (more may fail while trials still run)."""
        if self._next < len(self._order):
            return self._lattice.point(int(self._order[self._next]))
        return self._failed[0] if self._failed else None

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Count visits from what was proposed and ended."""
        if trial is None:
            return
        if isinstance(event, Proposed):
            self._visited.add(trial.params)
            self._failed = [point for point in self._failed if dict(point) != dict(trial.params)]
            # One point a proposal, unless the study was begun in another order, as by another release of SciPy.
            while self._next < len(self._order) and self._lattice.point(int(self._order[self._next])) in self._visited:
                self._next += 1
        elif self._is_to_be_repeated(event) and self._visited.times(trial.params) == 1:
            self._failed.append(trial.params)

    def _is_to_be_repeated(self, event: Event) -> bool:
        if not isinstance(event, Ended) or event.state is not TrialState.FAILED:
            return False
        return event.reason not in self._hopeless


def _notices_on(spec: Problem, size: int) -> list[str]:
    trained = affordable_trainings(spec)
    if trained is None or trained >= size:
        return []
    needed = {"epochs": size * spec.max_epochs, "trials": size}
    limits = spec.budget.model_dump(exclude_none=True)
    takes = " and ".join(f"{need:,} {what}" for what, need in needed.items() if limits.get(what, need) < need)
    points = f"{size:,} {'point' if size == 1 else 'points'}"
    pruned = "" if spec.pruner == "none" else f". Pruner {spec.pruner} may stop some early, so that others are tried"
    return [
        f"grid search has {points}, and the budget trains {trained or 'none'} of them in full. All of them take "
        f"{takes}{pruned}"
    ]
