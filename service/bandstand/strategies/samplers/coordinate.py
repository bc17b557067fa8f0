"""Coordinate search: one parameter at a time around the best point, on grids that get finer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import SamplerFacts
from bandstand.strategies.options import Options, options_from
from bandstand.strategies.past_trials.standings import Standings
from bandstand.strategies.points.fractions import fraction_of
from bandstand.strategies.points.visited import Visited
from bandstand.strategies.randomness import generator_for
from bandstand.trials.events import Ended, Event, Measured, Proposed
from bandstand.trials.history import Trial
from bandstand_spaces import Categorical, Parameter, Value

__all__ = ["CoordinateSampler"]

REFINEMENT = 3
"""Values of the next resolution per value of this one. Odd, so that the middles of finer cells include the coarser."""
NEAR = 2
"""Values tried on each side of the best one, at every resolution but the first."""


class CoordinateOptions(Options):
    """Options of sampler coordinate."""

    startup_trials: Annotated[int, Field(ge=1)] = 5
    """Number of random trials at the start. The search begins at the best of them."""
    values: Annotated[int, Field(ge=2)] = 5
    """Number of values of each numeric parameter at the first resolution, evenly spaced on its scale."""
    resolutions: Annotated[int, Field(ge=1)] = 3
    """Number of resolutions. Each is three times as fine as the one before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Move:
    """A proposal, and what it was made for."""

    params: Mapping[str, Any]
    descent: int
    resolution: int = 0
    name: str | None = None  # the parameter that differs from the base's; None: a random start
    base: int = -1


@dataclass(slots=True)
class _Descent:
    """One way down from a random start."""

    moves: dict[int, _Move] = field(default_factory=dict)  # by trial
    resolution: int = 0  # coarser ones are done
    scanned: tuple[int, str] = (0, "")  # resolution and parameter of the latest move
    scans: Counter[tuple[int, str]] = field(default_factory=Counter)
    settled: int | None = None  # the best trial, if nothing is left to try around it


class CoordinateSampler(SamplerFacts):
    """Cyclic coordinate search with compass steps (Kolda, Lewis and Torczon, SIAM Review 45, 2003) on nested grids.

    At the first resolution a parameter takes each of a few values all over its scale, then the next parameter its own
    around the best of all that; at finer ones it takes the nearest values on both sides. Among parameters whose turn
    has come equally often, the one goes first that has changed the loss most when changed alone. A resolution is done
    when nothing is left to try around the best point and none of its trials is under way; workers that are free before
    try finer values, so none ever waits. After the last resolution, a descent from a random point begins; the earlier
    one goes on if a trial that was still under way turns out to be better.

    A choice is tried with the middle values of the parameters that it brings. What was proposed is not again, until
    every point of a finite space was.
    """

    options: ClassVar[type[CoordinateOptions]] = CoordinateOptions
    summary: ClassVar[str] = (
        "Changes one parameter at a time around the best point, first in coarse steps and then in fine ones."
    )

    def __init__(self, spec: Problem, ask_epochs: tuple[int, ...]):
        self._options = options_from("sampler coordinate", CoordinateOptions, spec.sampler_options)
        self._space = spec.space
        self._parameters = {name: parameter for name, parameter, _ in spec.space.flat()}
        self._seed = spec.seed
        self._standings = Standings(spec, ask_epochs)
        self._visited = Visited(spec.space)
        self._trials: list[Trial] = []
        self._unfinished: set[int] = set()  # trials that have neither ended nor paused yet
        self._descents = [_Descent()]
        self._descent_of: dict[int, int] = {}  # by trial
        # Descents in which something may be left to try; one comes back when one of its trials has news.
        self._live = {0}
        self._rung = 0
        self._importances: dict[str, float] = {}

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options_from("sampler coordinate", CoordinateOptions, spec.sampler_options)

    @classmethod
    def make(cls, spec: Problem, ask_epochs: tuple[int, ...]) -> CoordinateSampler:
        """As `Sampler.make`."""
        return cls(spec, ask_epochs)

    def propose(self, number: int) -> Mapping[str, Any]:
        """As `Sampler.propose`."""
        return self._plan(number).params

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Follow the trials, and the plan behind each proposal."""
        if isinstance(event, Proposed) and trial is not None:
            # Planned once more rather than kept from `propose`: a sampler rebuilt from events was never asked for it.
            own = event.request is None
            self._adopt(self._plan(trial.number) if own else self._foreign(trial.params), trial)
        self._standings.observe(event, trial)
        if trial is None or isinstance(event, Proposed):
            return
        if isinstance(event, Measured | Ended):
            self._live.add(self._descent_of[trial.number])
        if self._standings.rung != self._rung:  # all trials are compared anew
            self._rung = self._standings.rung
            self._live.update(range(len(self._descents)))
        if trial.state.is_resting and trial.number in self._unfinished:
            self._unfinished.discard(trial.number)
            self._weigh(trial.number)

    def _adopt(self, move: _Move, trial: Trial) -> None:
        self._trials.append(trial)
        self._visited.add(trial.params)
        self._unfinished.add(trial.number)
        if move.descent == len(self._descents):
            self._descents.append(_Descent())
            self._live.add(move.descent)
        descent = self._descents[move.descent]
        if move.name:
            waits = any(descent.moves[number].resolution < move.resolution for number in self._under_way(descent))
            descent.resolution = descent.resolution if waits else move.resolution
            if descent.scanned != (move.resolution, move.name):
                descent.scanned = (move.resolution, move.name)
                descent.scans[descent.scanned] += 1
        descent.moves[trial.number] = move
        self._descent_of[trial.number] = move.descent

    def _under_way(self, descent: _Descent) -> Iterator[int]:
        return (number for number in self._unfinished if number in descent.moves)

    # -- what to try next -------------------------------------------------------------------------------------------

    def _plan(self, number: int) -> _Move:
        """The next move of the oldest descent that has one left, else a random start."""
        for index in sorted(self._live):
            descent = self._descents[index]
            best = self._standings.best(descent.moves)
            is_last = index == len(self._descents) - 1
            starts = self._options.startup_trials if index == 0 else 1
            if is_last and (best is None or len(descent.moves) < starts):
                return self._start(number, index)
            if best is not None and descent.settled != best:
                move = self._move_around(best, index, descent)
                if move is not None:
                    return move
                descent.settled = best  # only remembered: points are never forgotten, so asking again gives the same
            if not is_last:
                self._live.discard(index)
        return self._start(number, len(self._descents))

    def _foreign(self, params: Mapping[str, Any]) -> _Move:
        """A point from outside is one more start of the latest descent: it goes on around the best."""
        return _Move(params=params, descent=len(self._descents) - 1)

    def _start(self, number: int, descent: int) -> _Move:
        rng = generator_for(self._seed, number, "propose")
        return _Move(params=self._visited.new_point(lambda: self._space.sample(rng)), descent=descent)

    def _move_around(self, best: int, index: int, descent: _Descent) -> _Move | None:
        params = self._trials[best].params
        for resolution in range(descent.resolution, self._options.resolutions):
            # The parameter whose turn it is stays until its values are used up.
            order = sorted(
                params,
                key=lambda name: (
                    (resolution, name) != descent.scanned,
                    descent.scans[resolution, name],
                    -self._importances.get(name, 0.0),
                ),
            )
            for name in order:
                for value in self._values_near(self._parameters[name], params[name], resolution):
                    point = self._with_value(params, name, value)
                    if point not in self._visited:
                        return _Move(params=point, descent=index, resolution=resolution, name=name, base=best)
        return None

    def _values_near(self, parameter: Parameter, value: Value, resolution: int) -> Iterator[Value]:
        """All values of the first resolution; the nearest of a finer one, from the inside out; all other choices."""
        if isinstance(parameter, Categorical):
            yield from (choice for choice in parameter.choices if choice != value)
            return
        cells = self._options.values * REFINEMENT**resolution
        here = int(fraction_of(parameter, float(value)) * cells)
        near = [here, *(here + sign * distance for distance in range(1, NEAR + 1) for sign in (1, -1))]
        for cell in near if resolution else range(cells):
            if 0 <= cell < cells:
                # Rounded, so that a cell's middle is the same number at every resolution that has it.
                yield parameter.value_at(round((cell + 0.5) / cells, 12))

    def _with_value(self, params: Mapping[str, Any], name: str, value: Value) -> Mapping[str, Any]:
        def choose(other: str, parameter: Parameter) -> Value:
            if other == name:
                return value
            known: Value | None = params.get(other)
            return parameter.value_at(0.5) if known is None else known

        return self._space.params_by(choose)

    def _weigh(self, number: int) -> None:
        """Let a trial's loss, when it first comes to rest, count for the parameter that was changed alone for it.

        A parameter weighs the largest change of the loss that it has made, where both trials had a value then.
        """
        move = self._descents[self._descent_of[number]].moves[number]
        if move.name is None:
            return
        change = self._standings.gap(number, move.base)
        if change is not None:
            self._importances[move.name] = max(change, self._importances.get(move.name, 0.0))
