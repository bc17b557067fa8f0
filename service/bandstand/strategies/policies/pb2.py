"""Population-based bandits: population-based training whose members explore by a model of what made others improve."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from math import isfinite, nan
from typing import Any, ClassVar, NamedTuple

import numpy as np

from bandstand.optuna_samplers.one_thread import one_thread
from bandstand.problem.problem import Problem
from bandstand.strategies.options import options_from
from bandstand.strategies.points.fractions import fraction_of, value_at
from bandstand.strategies.policies.pbt import PBTOptions, PopulationBasedTraining
from bandstand.strategies.policies.time_varying_gp import Numbers, TimeVaryingGP
from bandstand.trials.broken_study import is_own_failure
from bandstand.trials.events import Ended, Event, Measured, Proposed, TrialState
from bandstand.trials.history import Trial
from bandstand_spaces import Categorical, Float, Int

__all__ = ["PB2Options", "PopulationBasedBandits"]

_WINDOW = 200  # latest intervals that the model sees: a fit costs the cube of it
_CANDIDATES = 256
_NEIGHBOURS = 64
_SHRINKING = (0.1, 0.03, 0.01)  # widths of the normals around the best candidate so far, round by round

_LARGEST = 1e100
"""Of a loss as the model sees it, so that squares of differences stay finite."""


class PB2Options(PBTOptions):
    """Options of sampler pb2.

    `resample`, `factors` and `rules` change the choices. They change the numbers only until the model has enough data.
    """


class _Interval(NamedTuple):
    """What one member gained from one comparison to the next."""

    time: float  # of its begin, in intervals
    loss: float  # at its begin; NaN where it was not known
    point: tuple[float, ...]  # the explored numbers as fractions of their ranges
    gain: float  # decrease of the loss per epoch; NaN for one whose training failed


class PopulationBasedBandits(PopulationBasedTraining):
    """PB2 (Parker-Holder, Nguyen, Roberts, NeurIPS 2020, arXiv 2002.02518): as pbt, but what a child gets is modelled.

    A Gaussian process learns, from the latest intervals of all members, how much the objective improves per epoch,
    given the explored numbers, the time and the loss that the interval began with. A child gets the numbers with the
    highest upper confidence bound at its parent's epoch and loss. Members in training count as looked at, so that two
    children do not try the same. The loss is an input as in the authors' code (Ray Tune): without it, numbers that
    were tried when every member improved quickly look good ever after.

    The model knows numbers. Choices among the explored are perturbed as in pbt rather than refused, because the
    batch size, explored by default, often is one; what they do is noise to the model. A number that a choice has
    switched off counts as the middle of its range. A failed training counts as the worst gain so far. Until
    there are two more intervals than explored numbers, numbers are perturbed as in pbt, too. A member's first interval
    begins with its first epoch, as there is no loss before it.

    What differs from the paper: comparisons are asynchronous, and the kernel's settings come from a grid (see
    `time_varying_gp`). Candidates are drawn, first everywhere, then around the best.
    """

    summary: ClassVar[str] = (
        "Population-based training that chooses new values by a time-varying Gaussian-process bandit (PB2)."
    )
    name: ClassVar[str] = "pb2"
    options: ClassVar[type[PBTOptions]] = PB2Options

    def __init__(self, spec: Problem):
        super().__init__(spec)
        self._numbers = _numbers(spec, self._changes)
        self._trials: list[Trial] = []
        self._intervals: deque[_Interval] = deque(maxlen=_WINDOW)

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Sampler.check`."""
        super().check(spec)
        names = options_from(f"sampler {cls.name}", cls.options, spec.sampler_options).changing(spec)
        if not _numbers(spec, names):
            raise ValueError(
                f"option explore of sampler {cls.name} must name at least one number; got {list(names)}: "
                "name one that a running training can change, or use sampler pbt"
            )

    def observe(self, event: Event, trial: Trial | None) -> None:
        """As `Strategy.observe`: each interval that ends is one observation."""
        super().observe(event, trial)
        if trial is None:
            return
        if isinstance(event, Proposed):
            self._trials.append(trial)
        elif isinstance(event, Measured):
            if trial.epochs == self._spec.max_epochs or not trial.epochs % self.interval:
                self._note_gain(trial)
        elif isinstance(event, Ended) and is_own_failure(event):
            self._note_failure(trial)

    def _note_gain(self, trial: Trial) -> None:
        begin = self._begin_of_interval(trial, trial.epochs)
        if not begin and trial.epochs > 1:
            begin = 1
        before, after = self._loss_at(trial, begin), self._loss_at(trial, trial.epochs)
        gain = (before - after) / (trial.epochs - begin)
        if isfinite(gain):
            self._intervals.append(
                _Interval(time=begin / self.interval, loss=before, point=self._point(trial.params), gain=gain)
            )

    def _note_failure(self, trial: Trial) -> None:
        diverged = bool(trial.values) and not isfinite(trial.values[-1])
        begin = self._begin_of_interval(trial, trial.epochs if diverged else trial.epochs + 1)
        loss = self._loss_at(trial, begin)
        self._intervals.append(
            _Interval(time=begin / self.interval, loss=loss, point=self._point(trial.params), gain=nan)
        )

    def _begin_of_interval(self, trial: Trial, epoch: int) -> int:
        """The epoch after which the interval began that `epoch` belongs to."""
        return max(trial.from_epoch, (epoch - 1) // self.interval * self.interval)

    def _loss_at(self, trial: Trial, epoch: int) -> float:
        """NaN where the lineage has none at this epoch."""
        if epoch > trial.from_epoch:
            loss = self._spec.objective.sign * trial.value_at(epoch)
            return max(-_LARGEST, min(_LARGEST, loss)) if isfinite(loss) else loss
        if trial.parent is None or not epoch:
            return nan
        return self._loss_at(self._trials[trial.parent], epoch)

    def _explore(self, parent: Trial, rng: np.random.Generator) -> Mapping[str, Any]:
        """Params for a child; the generator's draws for pbt come first, so that choices get what pbt would give."""
        params = dict(super()._explore(parent, rng))
        numbers = {name: number for name, number in self._numbers.items() if name in parent.params}
        if numbers and self._is_enough:
            with one_thread():
                params |= self._with_highest_bound(parent, numbers, rng)
        return params

    @property
    def _is_enough(self) -> bool:
        return sum(isfinite(interval.gain) for interval in self._intervals) >= len(self._numbers) + 2

    def _with_highest_bound(
        self, parent: Trial, numbers: Mapping[str, Float | Int], rng: np.random.Generator
    ) -> dict[str, Any]:
        """The numbers of the candidate that may improve most."""
        scale = _LossScale([interval.loss for interval in self._intervals])
        model = TimeVaryingGP(
            np.array([(*interval.point, scale(interval.loss)) for interval in self._intervals]),
            np.array([interval.time for interval in self._intervals]),
            _tamed([interval.gain for interval in self._intervals]),
        )
        pending, pending_times = self._pending(scale)
        epoch = parent.checkpoint_epoch
        loss, time = scale(self._loss_at(parent, epoch)), epoch / self.interval
        places = [list(self._numbers).index(name) for name in numbers]

        def best_of(fractions: Numbers) -> tuple[float, Numbers]:
            points = np.full((len(fractions), len(self._numbers) + 1), 0.5)
            points[:, -1] = loss
            for place, number, column in zip(places, numbers.values(), fractions.T, strict=True):
                points[:, place] = _of_values(number, column)
            bounds = model.upper_bounds(points, time, pending, pending_times)
            best = int(np.argmax(bounds))
            return float(bounds[best]), points[best, places]

        middle = np.array(self._point(parent.params))[places]
        around = middle + 0.1 * rng.standard_normal((_NEIGHBOURS, len(numbers)))
        bound, best = best_of(np.concatenate([rng.random((_CANDIDATES, len(numbers))), around]))
        for width in _SHRINKING:
            other, nearby = best_of(best + width * rng.standard_normal((_NEIGHBOURS, len(numbers))))
            if other > bound:
                bound, best = other, nearby
        return {name: value_at(number, at) for (name, number), at in zip(numbers.items(), best, strict=True)}

    def _pending(self, scale: _LossScale) -> tuple[Numbers, Numbers]:
        """Points, (k, numbers + 1), and times, (k,), of the members that a worker has or will have as they are."""
        busy = [
            trial for trial in self._members[self._first :] if trial.state in (TrialState.WAITING, TrialState.RUNNING)
        ]
        points, times = [], []
        for trial in busy:
            begin = self._begin_of_interval(trial, trial.epochs + 1)
            points.append((*self._point(trial.params), scale(self._loss_at(trial, begin))))
            times.append(begin / self.interval)
        return np.array(points).reshape(len(busy), len(self._numbers) + 1), np.array(times)

    def _point(self, params: Mapping[str, Any]) -> tuple[float, ...]:
        return tuple(
            fraction_of(number, params[name]) if name in params else 0.5 for name, number in self._numbers.items()
        )


class _LossScale:
    """Turns losses into fractions of the range that they usually have; an unknown one is in the middle."""

    def __init__(self, losses: list[float]):
        known = np.array([loss for loss in losses if isfinite(loss)])
        self._low, self._high = _fences(known) if len(known) else (0.0, 0.0)
        if len(known):
            self._low, self._high = max(self._low, float(known.min())), min(self._high, float(known.max()))

    def __call__(self, loss: float) -> float:
        if not isfinite(loss) or self._high <= self._low:
            return 0.5
        return (min(max(loss, self._low), self._high) - self._low) / (self._high - self._low)


def _numbers(spec: Problem, names: Collection[str]) -> dict[str, Float | Int]:
    """The numbers among the named parameters that have more than one value, in the space's order."""
    return {
        name: parameter
        for name, parameter, _ in spec.space.flat()
        if name in names and not isinstance(parameter, Categorical) and parameter.low < parameter.high
    }


def _of_values(number: Float | Int, fractions: Numbers) -> Numbers:
    """The fractions of the values that some fractions stand for."""
    if number.size is None:
        return np.clip(fractions, 0.0, 1.0)
    return np.array([fraction_of(number, value_at(number, at)) for at in fractions])


def _fences(values: Numbers) -> tuple[float, float]:
    """Tukey's: what lies beyond them, by 1.5 times the distance of the quartiles, is far out."""
    low, high = (float(value) for value in np.quantile(values, [0.25, 0.75]))
    return low - 1.5 * (high - low), high + 1.5 * (high - low)


def _tamed(gains: list[float]) -> Numbers:
    """Gains with the far-out ones moved to the fences, lest one that nearly diverged be all that the model sees.

    Those that are not known, of failed trainings, are the worst of the others.
    """
    all_gains = np.array(gains)
    known = all_gains[np.isfinite(all_gains)]
    tame = np.clip(all_gains, *_fences(known))
    worst = float(np.nanmin(tame))
    return np.where(np.isfinite(tame), tame, worst)
