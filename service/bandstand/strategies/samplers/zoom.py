"""Random search from coarse to fine: in rounds, in a box that shrinks around the best point so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import SamplerFacts
from bandstand.strategies.options import Options, options_from
from bandstand.strategies.past_trials.standings import Standings
from bandstand.strategies.points.fractions import ALMOST_ONE, fraction_of, reach_at, value_at
from bandstand.strategies.points.visited import Visited
from bandstand.strategies.randomness import generator_for
from bandstand.trials.events import Event, Proposed
from bandstand.trials.history import Trial
from bandstand_spaces import Categorical, Float, Int, Parameter, Value

__all__ = ["ZoomSampler"]

FINEST = 0.01
"""The smallest side of a box, as a fraction of the parameter's range: below it the noise of training hides any gain."""
FREEST = 0.2
"""The smallest share of a categorical's draws that are free, so that no choice is ever lost."""
BORDER = 0.1
"""A best point this close to a side's end, as a fraction of the side, lies on the border."""


class ZoomOptions(Options):
    """Options of sampler zoom."""

    round_trials: Annotated[int, Field(ge=1)] = 10
    """Number of trials in a round. The box shrinks when as many have ended or paused at a rung."""
    shrink: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Number that each side of the box is multiplied by after each round."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One parameter's part of the box.

    For a number: the fractions of its scale from `low` to `low + width`. For a categorical: `choice` is drawn, but for
    a share `width` of the draws, which is uniform over all choices.
    """

    width: float = 1.0
    low: float = 0.0
    choice: Value | None = None


class ZoomSampler(SamplerFacts):
    """Uniform draws from a box around the best trial, on each parameter's own scale (logarithmic where it says log).

    A recursive random search (Ye and Kalyanaraman, SIGMETRICS 2003) with sides of their own. After each round a side is
    centred on the best trial and multiplied by `shrink`, or, where the best lies on its border, divided by it: the box
    then moves and widens, up to the whole space. Once no side can shrink and a round has brought nothing better, the
    box is the whole space again. A round ends when enough of its own trials have, or are paused at a rung; until then
    workers draw from the same box, so none ever waits, and trials that an earlier round left under way do not shorten
    it.
    """

    options: ClassVar[type[ZoomOptions]] = ZoomOptions
    summary: ClassVar[str] = "Searches at random in a box around the best point. The box shrinks after each round."

    def __init__(self, spec: Problem, ask_epochs: tuple[int, ...]):
        self._options = options_from("sampler zoom", ZoomOptions, spec.sampler_options)
        self._space = spec.space
        self._seed = spec.seed
        self._standings = Standings(spec, ask_epochs)
        self._visited = Visited(spec.space)
        self._trials: list[Trial] = []
        self._sides: dict[str, _Side] = {}  # of parameters that the best trial has; others are drawn from all
        self._centre: int | None = None
        self._round: set[int] = set()  # its trials that have neither ended nor paused yet
        self._rested = 0

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options_from("sampler zoom", ZoomOptions, spec.sampler_options)

    @classmethod
    def make(cls, spec: Problem, ask_epochs: tuple[int, ...]) -> ZoomSampler:
        """As `Sampler.make`."""
        return cls(spec, ask_epochs)

    def propose(self, number: int) -> Mapping[str, Any]:
        """As `Sampler.propose`."""
        rng = generator_for(self._seed, number, "propose")

        def choose(name: str, parameter: Parameter) -> Value:
            return _drawn(parameter, self._sides.get(name, _Side()), rng)

        return self._visited.new_point(lambda: self._space.params_by(choose))

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Follow the trials; begin a new round when enough of this one's have come to rest."""
        self._standings.observe(event, trial)
        if trial is None:
            return
        if isinstance(event, Proposed):
            self._trials.append(trial)
            self._visited.add(trial.params)
            self._round.add(trial.number)
        elif trial.state.is_resting and trial.number in self._round:
            self._round.discard(trial.number)  # it counts once, although it may go on
            self._rested += 1
            if self._rested >= self._options.round_trials:
                self._begin_round()

    def _begin_round(self) -> None:
        self._round, self._rested = set(), 0
        best = self._standings.best()
        if best is None:
            return
        params = self._trials[best].params
        sides = {
            name: self._next_side(parameter, self._sides.get(name, _Side()), params[name])
            for name, parameter, _ in self._space.flat()
            if name in params
        }
        stuck = best == self._centre and sides == self._sides
        self._sides, self._centre = ({} if stuck else sides), best

    def _next_side(self, parameter: Parameter, side: _Side, best: Value) -> _Side:
        shrink = self._options.shrink
        if isinstance(parameter, Categorical):
            if side.choice is not None and side.choice != best:
                return _Side(width=min(1.0, side.width / shrink), choice=best)
            return _Side(width=max(FREEST, side.width * shrink), choice=best)
        centre = fraction_of(parameter, float(best))
        if _is_on_border(centre, side):
            width = min(1.0, side.width / shrink)
        else:
            finest = max(FINEST, reach_at(parameter, float(best)))  # so that a number's neighbours stay within reach
            width = max(finest, side.width * shrink)
        return _Side(width=width, low=min(max(centre - width / 2, 0.0), 1 - width))


def _is_on_border(centre: float, side: _Side) -> bool:
    """Whether the best lies at an end of the side, or beyond, that is not an end of the parameter's range as well."""
    below, above = side.low, side.low + side.width
    margin = BORDER * side.width
    return (below > 0 and centre < below + margin) or (above < ALMOST_ONE and centre > above - margin)


def _drawn(parameter: Float | Int | Categorical, side: _Side, rng: np.random.Generator) -> Value:
    u = float(rng.random())
    if isinstance(parameter, Categorical):
        free = side.choice is None or float(rng.random()) < side.width
        return parameter.value_at(u) if free or side.choice is None else side.choice
    return value_at(parameter, side.low + side.width * u)
