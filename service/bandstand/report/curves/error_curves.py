"""One curve as a course of errors: on a scale that knows ceilings, with its noise, and what its end is like.

Knows numbers of one metric. Must not know what two curves together mean.

Every value becomes an *error*: smaller is better, and 0 is the best there can be where the metric has such a bound
(1 - accuracy; a loss as it is). Differences are measured in the curve's *unit*: the smaller of two numbers, the error
that is left at its best and what it had gained until there. So a loss that rises from 0.10 to 0.15 has risen by half a
unit although it began at 2.3, and so has one that fell from 101 to 100 and rose to 100.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "ErrorCurve", "Estimate", "Scale", "make_course", "noise_of", "scale_for"]

Array = NDArray[np.float64]

LEAST_UNIT = 0.02
"""The unit is at least this share of what was gained: a loss of a hundredth or of half of that is as good."""
RATIO = 0.8
"""What is left of a curve's fall from one quarter of its epochs to the next, where it cannot be seen."""


class Scale(NamedTuple):
    """How values of a metric become errors."""

    sign: float  # 1 where smaller is better, -1 where larger is
    best: float | None  # the best value there can be; None where there is no bound

    def error_of(self, values: Sequence[float] | Array | float) -> Array:
        """The errors of some values."""
        return self.sign * (np.asarray(values, dtype=float) - (self.best or 0.0))

    def value_of(self, error: float) -> float:
        """The value that has this error."""
        return self.sign * error + (self.best or 0.0)


def scale_for(sign: float, values: Sequence[float] | Array) -> Scale:
    """The scale of a metric that has taken these values, in training and in validation.

    A metric to maximize whose values are all at most 1 is taken for one that cannot exceed 1, such as an accuracy, an
    AUC or a coefficient of determination; if they are all at most 0, for one that cannot exceed that, such as a
    log-likelihood of classes. A metric to minimize that is never negative cannot be less than 0.
    """
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return Scale(sign, None)
    if sign > 0:
        return Scale(sign, 0.0 if finite.min() >= 0 else None)
    top = float(finite.max())
    return Scale(sign, 0.0 if top <= 0 else 1.0 if top <= 1 else None)


class Estimate(NamedTuple):
    """A difference in units of its curve."""

    value: float
    error: float
    """Its standard error, as far as the noise from epoch to epoch goes."""

    def is_above(self, bound: float) -> bool:
        """By three standard errors: what is asked for was picked from the curve after looking."""
        return self.value - 3 * self.error > bound

    def is_below(self, bound: float) -> bool:
        """By two standard errors."""
        return self.value + 2 * self.error < bound

    def leans_above(self, bound: float) -> bool:
        """By two standard errors: it agrees with what another metric shows clearly."""
        return self.value - 2 * self.error > bound

    def may_be_below(self, bound: float) -> bool:
        """Whether one standard error reaches so far."""
        return self.value - self.error < bound


class ErrorCurve(NamedTuple):
    """A curve of errors and what can be said of it alone."""

    errors: Array
    unit: float
    noise: float  # standard deviation of an error around the course
    turn: int  # index where the stretch with the least mean error lies
    best: float  # mean error of that stretch
    end: float  # mean error of the last stretch
    rise: Estimate  # how much worse the end is than the best stretch
    gain: Estimate  # how much better it would still get if it trained as long again
    gained: Estimate  # how much better the best stretch is than the start


def make_course(errors: Array, *, bounded: bool, start: float | None = None) -> ErrorCurve:
    """What a curve of errors says.

    Args:
        errors: finite, one for each epoch, at least two.
        bounded: whether 0 is the best error there can be.
        start: what trainings begin with, where it is known better than by the first error: that may come after much
            has been learned, or from an outburst. Of no use to a curve that never got below it.
    """
    width = _width(len(errors))
    means = _running_means(errors, width)
    turn = int(means.argmin())
    best, end = float(means[turn]), float(means[-1])
    noise = noise_of(errors)
    first = float(errors[0]) if start is None or start <= best else start
    unit = _unit(first, best, bounded, noise)
    error = noise * math.sqrt(2 / width) / unit
    return ErrorCurve(
        errors, unit, noise, turn + width // 2, best, end,
        rise=Estimate((end - best) / unit, 0.0 if turn == len(means) - 1 else error),
        gain=_gain_to_come(errors, noise, unit),
        gained=Estimate((first - best) / unit, noise * math.sqrt(1 + 1 / width) / unit),
    )  # fmt: skip


def _gain_to_come(errors: Array, noise: float, unit: float) -> Estimate:
    """How much the end would fall in as many epochs again, from the means of the last three quarters.

    Of a course that decays exponentially these are a geometric series, so that their differences give away the limit
    (Aitken, On Bernoulli's numerical solution of algebraic equations, Proceedings of the Royal Society of Edinburgh 46,
    1926). Where the earlier difference is lost in noise, their ratio is unknown, and `RATIO` is taken for it.
    """
    quarter = max(1, len(errors) // 4)
    means = errors[len(errors) - 3 * quarter :].reshape(3, quarter).mean(axis=1)
    earlier, later = float(means[0] - means[1]), float(means[1] - means[2])
    error = noise * math.sqrt(2 / quarter)
    share = _share_to_come(later / earlier if earlier > 3 * error else RATIO)
    return Estimate(later * share / unit, error * max(share, 1.0) / unit)


def _share_to_come(ratio: float) -> float:
    """The fall in the next four quarters, in terms of the last difference of quarters, each `ratio` of the one before.

    With an excess over the limit of r ** x, x in quarters, the last quarter has a mean of (r - 1) / ln r times what it
    begins with, and the last difference is 1 / r - 1 times that mean.
    """
    r = min(max(ratio, 1e-9), 1 - 1e-9)
    return float(-(r**2) * math.log(r) * (1 - r**4) / (1 - r) ** 2)


def _width(epochs: int) -> int:
    """Epochs in a stretch: a tenth of all, two at least and ten at most."""
    return min(max(2, round(epochs / 10)), 10, epochs)


def _running_means(errors: Array, width: int) -> Array:
    sums = np.concatenate([[0.0], np.cumsum(errors)])
    means: Array = (sums[width:] - sums[:-width]) / width
    return means


def _unit(first: float, best: float, bounded: bool, noise: float) -> float:
    gained = max(first - best, 0.0)
    left = max(best, 0.0) if bounded else gained
    return max(min(left, gained), LEAST_UNIT * gained, noise, 1e-12 * abs(first), 1e-300)


def noise_of(errors: Array) -> float:
    """Standard deviation around a smooth course, of the later half.

    From second differences, which a slope does not touch (Gasser, Sroka and Jennen-Steinmetz, Residual variance and
    residual pattern in nonlinear regression, Biometrika 73, 1986); of normal errors they have a deviation of sqrt(6).
    Their median absolute value is robust against single jumps; where most are equal, as with an accuracy on few
    examples, their root mean square is taken.
    """
    late = errors[-max(6, len(errors) // 2) :]
    if len(late) < 3:
        return 0.0
    second = np.diff(late, 2)
    median = float(np.median(np.abs(second))) * 1.4826
    return (median or float(np.sqrt(np.mean(second**2)))) / math.sqrt(6)
