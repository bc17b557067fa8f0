"""CMA-ES for numbers and, beside it, a distribution for each categorical parameter.

The numbers are those of the `cmaes` package: CMA-ES (Hansen, arXiv:1604.00772) with a margin, which keeps a few
proposals outside the current value of every stepped parameter (Hamano et al., GECCO 2022, arXiv:2205.13482). A
categorical parameter has a probability for each choice, moved towards the choices of the better half of a generation
by the weights that CMA-ES gives to their ranks (PBIL: Baluja, CMU-CS-94-163, 1994; with CMA-ES: CatCMA, Hamano et al.,
GECCO 2024, arXiv:2405.09962), and never below a floor, so that no choice dies out.

A generation is any λ trials that have ended or been paused at a rung, in the order in which they first were, so that no
worker ever waits for another. A trial that goes on after a pause moves up within its generation while that still grows;
to learn from it once more at each later rung is no better: with 800 epochs of at most 27, the mean log10 of the loss of
`tests/service/strategies/samplers/landscapes.py` (exact and with noise, medians of 7 seeds) is -.77 with asha-promote,
and -.79 with the repetition; to learn from trials that have ended only, -.64, and with successive-halving -.97 instead
of -2.04.

Proposals come from the distribution as it is at the time; trials that an earlier one proposed count like all others. To
draw those in to where the current one could have put them, as injected solutions are (Hansen, arXiv:1110.4181), was
tried and is no better on the whole: with 64 workers, 200 trials and sigma .3 the median best of 21 seeds is 1.16 with
it and 1.17 without on a sphere in 5 dimensions, .09 and .12 on Rosenbrock's function, .19 and .12 on Branin's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import SamplerFacts
from bandstand.strategies.options import Options, options_from
from bandstand.strategies.past_trials.ranking import Ranking
from bandstand.strategies.points.fractions import fraction_of, value_at
from bandstand.strategies.points.visited import Visited
from bandstand.strategies.randomness import generator_for
from bandstand.trials.events import Event, Proposed
from bandstand.trials.history import Trial
from bandstand_spaces import Categorical, Int, Parameter, Value

if TYPE_CHECKING:
    from cmaes import CMAwM


__all__ = ["CMAESSampler"]

Vector = NDArray[np.float64]

_MOST_STEPS = 1000
"""A parameter with more values than this is searched as if it were continuous."""
_DRAWS = 10
"""How many points are drawn to find one that was not proposed before; then one is drawn at random."""
_LEARNING_RATE = 0.3
"""The share of a generation in the probabilities after it; .15 and .5 do about as well."""

_CONVERGED = 1e-8
"""The distribution is given up when a generation is this narrow in a dimension, as a fraction of its range.

Going on would gain nothing, and after thousands of trials the package's step size overflows.
"""


class CMAESOptions(Options):
    """Options of sampler cmaes."""

    population: Annotated[int, Field(ge=4)] | None = None
    """Number of trials in a generation (λ). Default: 4 + 3 ln n for n parameters, rounded down, as CMA-ES has it."""
    sigma: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Standard deviation of the first proposals around the middle of the space, as a fraction of each range."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draw:
    """One point as the distribution drew it, inactive parameters included."""

    params: Mapping[str, Value]
    told: Vector
    """What the distribution of the numbers learns from: coordinates before they were rounded to steps."""
    choices: Mapping[str, Value]


class CMAESSampler(SamplerFacts):
    """CMA-ES whose distribution is rebuilt from the trials that have ended or been paused.

    Parameters below a choice that was not made are drawn all the same, and dropped. To the numbers they stay as drawn:
    they had no influence on the value, so they move the distribution no more than chance. To the categoricals they do
    not count.
    """

    options: ClassVar[type[CMAESOptions]] = CMAESOptions
    summary: ClassVar[str] = "Searches numbers by CMA-ES with margin, and learns a probability for each choice."

    def __init__(self, spec: Problem):
        options = options_from("sampler cmaes", CMAESOptions, spec.sampler_options)
        self._seed = spec.seed
        self._space = spec.space
        free = [entry for entry in spec.space.flat() if entry.parameter.size != 1]
        self._numbers = [entry for entry in free if not isinstance(entry.parameter, Categorical)]
        self._population = options.population or 4 + math.floor(3 * math.log(max(1, len(free))))
        self._sigma = options.sigma
        self._choices = {
            entry.name: _Choices(entry.parameter, len(free) * self._population)
            for entry in free
            if isinstance(entry.parameter, Categorical)
        }
        self._cma = self._make_cma(np.full(len(self._numbers), 0.5)) if self._numbers else None
        self._ranking = Ranking(spec)
        self._drawn: dict[int, _Draw] = {}  # of trials that have not been learnt from
        self._visited = Visited(spec.space)
        self._generation: dict[int, tuple[Trial, _Draw]] = {}

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        options_from("sampler cmaes", CMAESOptions, spec.sampler_options)

    @classmethod
    def make(cls, spec: Problem, ask_epochs: tuple[int, ...]) -> CMAESSampler:
        """As `Sampler.make`."""
        return cls(spec)

    def propose(self, number: int) -> Mapping[str, Any]:
        """As `Sampler.propose`."""
        return self._draw(number).params

    def observe(self, event: Event, trial: Trial | None) -> None:
        """Remember what was proposed, learn from every λ trials that have come to rest."""
        self._ranking.observe(event)
        if trial is None:
            return
        if isinstance(event, Proposed) and event.request is not None:
            self._visited.add(trial.params)  # not of its own drawing, so it says nothing of the distribution
        elif isinstance(event, Proposed):
            # Nothing has changed since it was proposed, so this is the same draw: it need not be stored.
            self._drawn[trial.number] = self._as_proposed(self._draw(trial.number), trial.params)
            self._visited.add(trial.params)
        elif trial.state.is_resting and trial.number in self._drawn:
            draw = self._drawn.pop(trial.number)
            if self._ranking.tells(trial):
                self._generation[trial.number] = (trial, draw)
            if len(self._generation) == self._population:
                self._learn(trial.number)

    # -- drawing ----------------------------------------------------------------------------------------------------

    def _draw(self, number: int) -> _Draw:
        """The point for trial `number`: a new one, drawn at random where the distribution has none left."""
        rng = generator_for(self._seed, number, "propose")
        if self._cma is not None:
            self._cma.reseed_rng(int(rng.integers(2**32 - 1)))
        for _ in range(_DRAWS):
            draw = self._draw_once(rng)
            if self._visited.is_full or draw.params not in self._visited:
                return draw
        return self._as_proposed(draw, self._visited.new_point(lambda: self._space.sample(rng)))

    def _draw_once(self, rng: np.random.Generator) -> _Draw:
        values, told = {}, np.zeros(0)
        if self._cma is not None:
            point, told = self._cma.ask()
            values = {entry.name: _value_of(entry.parameter, x) for entry, x in zip(self._numbers, point, strict=True)}
        chosen = {name: choices.draw(float(rng.random())) for name, choices in self._choices.items()}
        params = self._space.params_by(
            lambda name, parameter: (values | chosen)[name] if parameter.size != 1 else value_at(parameter, 0.0)
        )
        return _Draw(params=params, told=told, choices=chosen)

    def _as_proposed(self, draw: _Draw, params: Mapping[str, Any]) -> _Draw:
        """The draw, put right where the trial's params say otherwise, as after a change of rounding in a last digit."""
        if draw.params == params:
            return draw
        told = draw.told.copy()
        for index, entry in enumerate(self._numbers):
            if entry.name in params and params[entry.name] != draw.params.get(entry.name):
                told[index] = _coordinate_of(entry.parameter, params[entry.name])
        known = {name: params[name] for name in draw.choices if name in params}
        return _Draw(params=dict(params), told=told, choices={**draw.choices, **known})

    # -- learning ---------------------------------------------------------------------------------------------------

    def _learn(self, number: int) -> None:
        """Move the distribution by the ranks of one generation, which the trial `number` has completed."""
        trials = [trial for trial, _ in self._generation.values()]
        ranked = [self._generation[trial.number][1] for trial in self._ranking.ranked(trials)]
        self._generation = {}
        weights = _weights(self._population)
        for name, choices in self._choices.items():
            choices.learn([(draw.choices[name] if name in draw.params else None) for draw in ranked], weights)
        if self._cma is not None:
            self._cma.tell([(draw.told, float(rank)) for rank, draw in enumerate(ranked)])
            spread = float(np.ptp([draw.told for draw in ranked], axis=0).min())
            if spread < _CONVERGED or self._cma.should_stop():
                # Start over elsewhere (Auger and Hansen, CEC 2005, without their doubling of the population).
                self._cma = self._make_cma(generator_for(self._seed, number, "restart").random(len(self._numbers)))

    def _make_cma(self, mean: Vector) -> CMAwM:
        from cmaes import CMAwM

        steps = np.array([1 / last if (last := _last_index(entry.parameter)) else 0.0 for entry in self._numbers])
        bounds = np.tile([0.0, 1.0], (len(self._numbers), 1))
        return CMAwM(mean=mean, sigma=self._sigma, bounds=bounds, steps=steps, population_size=self._population)


class _Choices:
    """The probabilities of one categorical parameter."""

    def __init__(self, parameter: Categorical, size: int):
        """All choices alike.

        Args:
            parameter: whose choices they are.
            size: parameters of the space times trials of a generation; one divided by it is left for the choices that
                are not the likeliest one, as CMA-ES with margin does for steps.
        """
        self._values = parameter.choices
        self._probabilities = np.full(len(self._values), 1 / len(self._values))
        self._floor = 1 / (size * (len(self._values) - 1))

    def draw(self, fraction: float) -> Value:
        """The choice at a fraction, 0 <= `fraction` < 1, of the cumulated probabilities."""
        index = int(np.searchsorted(np.cumsum(self._probabilities), fraction, side="right"))
        return self._values[min(index, len(self._values) - 1)]

    def learn(self, ranked: list[Value | None], weights: Vector) -> None:
        """Move towards what the best had.

        Args:
            ranked: the choices of a generation's trials, the best trial first; None where it was not active.
            weights: of the ranks, positive, from the first; the rest weigh nothing.
        """
        target = np.zeros(len(self._values))
        for value, weight in zip(ranked, weights, strict=False):
            if value is not None:
                target[list(self._values).index(value)] += weight
        rate = _LEARNING_RATE * target.sum()
        if not rate:
            return
        moved = (1 - rate) * self._probabilities + _LEARNING_RATE * target
        raised = np.maximum(moved, self._floor)
        # Lower what is above the floor in proportion, so that all add up to one again (CatCMA, margin correction).
        spare = raised - self._floor
        self._probabilities = self._floor + spare * (1 - self._floor * len(raised)) / spare.sum()


def _weights(population: int) -> Vector:
    """CMA-ES's weights of the better half of a generation, adding up to one (Hansen, arXiv:1604.00772, eq. 49)."""
    ranks = np.arange(1, population // 2 + 1)
    weights = np.log((population + 1) / 2) - np.log(ranks)
    return np.asarray(weights / weights.sum())


def _last_index(parameter: Parameter) -> int:
    """The index of the highest value; 0 where the parameter counts as continuous."""
    # Steps of a logarithmic integer are not even, and the margin is made for even ones.
    uneven = isinstance(parameter, Int) and parameter.log
    if parameter.size is None or parameter.size > _MOST_STEPS or uneven:
        return 0
    return parameter.size - 1


def _value_of(parameter: Parameter, coordinate: float) -> Value:
    last = _last_index(parameter)
    return value_at(parameter, (round(coordinate * last) + 0.5) / (last + 1) if last else coordinate)


def _coordinate_of(parameter: Parameter, value: Any) -> float:
    last = _last_index(parameter)
    fraction = fraction_of(parameter, value)
    return int(fraction * (last + 1)) / last if last else fraction
