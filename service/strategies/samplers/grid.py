"""Grid search: every point of a finite space exactly once, failed ones once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from service.events import Ended, Event, Proposed, TrialState
from service.history import Trial
from service.strategies.randomness import generator_for
from service.strategies.samplers.grid_points import grid_of
from service.strategies.samplers.lattice import Lattice
from service.strategies.samplers.visited import Visited

if TYPE_CHECKING:
    from search_spaces import SearchSpace
    from service.study import StudySpec

__all__ = ["GridSampler"]

MAX_POINTS = 1_000_000


class GridSampler:
    """Visits the grid in a seeded order that covers early, so that a study cut short has still looked everywhere."""

    summary: ClassVar[str] = "every point of a finite space exactly once, a failed one once more"
    foresees: ClassVar[bool] = True

    def __init__(self, space: SearchSpace, seed: int):
        self._lattice = Lattice(space)
        self._order = self._lattice.covering_order(generator_for(seed, 0, "order"))
        self._next = 0  # all points before it in the order were visited
        self._visited = Visited(space)
        self._failed: list[Mapping[str, Any]] = []

    @classmethod
    def check(cls, spec: StudySpec) -> None:
        """As `Sampler.check`."""
        grid = grid_of(spec)
        if grid.size is not None and grid.size > MAX_POINTS:
            raise ValueError(
                f"sampler grid visits at most {MAX_POINTS:,} points; the space has {grid.size:,}: "
                "use larger steps or fewer points, or sampler random or tpe"
            )

    @classmethod
    def make(cls, spec: StudySpec, ask_epochs: tuple[int, ...]) -> GridSampler:
        """As `Sampler.make`."""
        return cls(grid_of(spec), spec.seed)

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
        elif isinstance(event, Ended) and event.state is TrialState.FAILED and self._visited.times(trial.params) == 1:
            self._failed.append(trial.params)
