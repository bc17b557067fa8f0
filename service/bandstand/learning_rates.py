"""Learning rates as functions of the epoch: what shapes there are, and what a restart sets the rate to.

A *cycle* is a stretch of training in which the rate follows one shape, after an optional warm-up. Training without
restarts is one cycle. Time `t` is counted in epochs since the cycle's start; a fraction is a part of an epoch. Pure
formulas in floats: the same ones as tensors, for an optimizer, are in `bandstand_workers.learning_rates`, and a test
holds the two against each other at every step.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["LEARNING_RATES", "RESETS", "Cycle", "Reset", "Shape", "rates", "restart_cycles"]

_LEAST_RATE, _LARGEST_RATE = 1e-30, 1e30
_MOST_EPOCHS = 10**9
_LEAST_FRACTION = 1e-6
"""Trainings compute in float32, whose smallest normal number, 1.2e-38, is below the least rate times this."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How a rate develops within a cycle."""

    summary: str  # one line, with the formula; t in epochs since the warm-up, T epochs of the cycle without it
    options: tuple[str, ...]  # fields of Cycle that it reads besides `initial`, `epochs` and `warmup_epochs`
    fraction: Callable[[Cycle, float], float]  # of the initial rate, at t >= 0 since the warm-up; may come down to 0


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """The learning rate over the epochs of one cycle.

    In a warm-up of w epochs the rate rises linearly from initial / (w + 1) to `initial` (Goyal et al. 2017, "Accurate,
    Large Minibatch SGD", section 2.2). Then the shape begins. After the end of the cycle, cosine and linear keep their
    last rate, and the other shapes follow their formula.

    Raises:
        ValueError: a field is out of its range.

    Example:
        >>> cycle = Cycle(shape="time", initial=0.1, epochs=20, decay=0.1)
        >>> cycle.rate_at(10)
        0.05
    """

    shape: str
    """Name of the shape, one of LEARNING_RATES."""
    initial: float
    """Rate at the end of the warm-up, above 0."""
    epochs: int
    """Epochs of the whole cycle, warm-up included; at least 1."""
    warmup_epochs: int = 0
    """Epochs of the warm-up, fewer than `epochs`."""
    decay: float = 0.1
    """Decay per epoch, with the shapes `time` and `exponential`; at least 0."""
    factor: float = 0.5
    """Number that the rate is multiplied by at each drop, with the shape `step`; above 0 and at most 1."""
    every_epochs: int = 5
    """Epochs between two drops, with the shape `step`; at least 1."""
    final_fraction: float = _LEAST_FRACTION
    """Lowest rate after the warm-up, as a fraction of `initial`; from 1e-6 to 1."""

    def __post_init__(self) -> None:
        if self.shape not in LEARNING_RATES:
            raise ValueError(f"shape must be one of {', '.join(LEARNING_RATES)}; got {self.shape!r}")
        _check_rate("initial", self.initial)
        _check_count("epochs", self.epochs, least=1)
        _check_count("every_epochs", self.every_epochs, least=1)
        _check_count("warmup_epochs", self.warmup_epochs, least=0)
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs must be less than epochs = {self.epochs}; got {self.warmup_epochs}; "
                "shorten the warm-up or lengthen the cycle"
            )
        if not (math.isfinite(self.decay) and self.decay >= 0):
            raise ValueError(f"decay must be finite and at least 0; got {self.decay!r}; 0 is no decay")
        _check_factor(self.factor)
        if not _LEAST_FRACTION <= self.final_fraction <= 1:
            raise ValueError(
                f"final_fraction must be from {_LEAST_FRACTION:g} to 1, because no rate may be 0; "
                f"got {self.final_fraction!r}; the least is the default"
            )

    def rate_at(self, t: float) -> float:
        """The learning rate `t` epochs after the cycle's start; finite and positive.

        Raises:
            ValueError: `t` is negative or not finite.
        """
        if not (math.isfinite(t) and t >= 0):
            raise ValueError(f"t must be finite and at least 0; got {t!r}; it is counted from the cycle's start")
        if t < self.warmup_epochs:
            return self.initial * (t + 1) / (self.warmup_epochs + 1)
        fraction = LEARNING_RATES[self.shape].fraction(self, t - self.warmup_epochs)
        return self.initial * max(fraction, self.final_fraction)

    def remaining(self, t: float) -> float:
        """The part of the cycle that is left `t` epochs after the warm-up: 1 at first, 0 from the end of the cycle."""
        return max(0.0, 1 - t / (self.epochs - self.warmup_epochs))


def _constant(cycle: Cycle, t: float) -> float:
    return 1.0


def _time(cycle: Cycle, t: float) -> float:
    return 1 / (1 + cycle.decay * t)


def _exponential(cycle: Cycle, t: float) -> float:
    return math.exp(-cycle.decay * t)


def _step(cycle: Cycle, t: float) -> float:
    # In whole numbers: a quotient of floats may fall short of the whole number that it should be.
    return math.pow(cycle.factor, math.floor(t) // cycle.every_epochs)


def _cosine(cycle: Cycle, t: float) -> float:
    # (1 + cos(pi p)) / 2 = sin^2(pi (1 - p) / 2), which keeps its precision where it comes close to 0.
    wave = math.sin(math.pi / 2 * cycle.remaining(t)) ** 2
    return cycle.final_fraction + (1 - cycle.final_fraction) * wave


def _linear(cycle: Cycle, t: float) -> float:
    return cycle.final_fraction + (1 - cycle.final_fraction) * cycle.remaining(t)


LEARNING_RATES: Mapping[str, Shape] = MappingProxyType(
    {
        "constant": Shape(summary="Stays at the initial rate", options=(), fraction=_constant),
        "time": Shape(
            summary="Decays with time: initial / (1 + decay · t)",
            options=("decay", "final_fraction"),
            fraction=_time,
        ),
        "exponential": Shape(
            summary="Decays exponentially: initial · exp(−decay · t)",
            options=("decay", "final_fraction"),
            fraction=_exponential,
        ),
        "step": Shape(
            summary="Drops by a factor every few epochs: initial · factor^⌊t / every_epochs⌋",
            options=("factor", "every_epochs", "final_fraction"),
            fraction=_step,
        ),
        "cosine": Shape(
            summary="Falls along half a cosine: initial · (1 + cos(π · t / T)) / 2 (SGDR, Loshchilov & Hutter 2017)",
            options=("final_fraction",),
            fraction=_cosine,
        ),
        "linear": Shape(
            summary="Falls in a straight line: initial · (1 − t / T)",
            options=("final_fraction",),
            fraction=_linear,
        ),
    }
)
"""The shapes by name. `bandstand_workers.learning_rates.LR_SCHEDULES` has a Keras schedule for each."""


def rates(cycle: Cycle) -> tuple[float, ...]:
    """The rate at the start of each of the cycle's epochs."""
    return tuple(cycle.rate_at(epoch) for epoch in range(cycle.epochs))


RESETS: Mapping[str, str] = MappingProxyType(
    {
        "initial": "the rate that training began with",
        "decayed": "the initial rate times factor^n at the n-th restart",
        "random": "log-uniform between low and high, drawn from (seed, n) at the n-th restart",
    }
)
"""What a restart may set the rate to, each with its summary."""


@dataclass(frozen=True, kw_only=True)
class Reset:
    """The rule for the learning rate after a restart.

    The rate depends only on the rule and the number of the restart. So a resumed training draws the same rates as one
    without an interruption.

    Raises:
        ValueError: a field is out of its range, or the bounds of a random rate are missing.

    Example:
        >>> Reset(to="decayed", factor=0.5).rate_after(2, initial=0.1)
        0.025
    """

    to: str = "initial"
    """Kind of the new rate, one of RESETS: `initial`, `decayed` or `random`."""
    factor: float = 0.5
    """Number that the rate is multiplied by at each restart, with `decayed`; above 0 and at most 1."""
    low: float | None = None
    """Lowest rate, needed with `random`."""
    high: float | None = None
    """Highest rate, needed with `random`."""
    seed: int = 0
    """Seed of the draws, with `random`."""

    def __post_init__(self) -> None:
        if self.to not in RESETS:
            raise ValueError(f"to must be one of {', '.join(RESETS)}; got {self.to!r}")
        _check_factor(self.factor)
        if self.to == "random":
            self._bounds()

    def rate_after(self, restart: int, initial: float) -> float:
        """The rate that a restart sets; it is above 0.

        Args:
            restart: number of the restart, counted from 1.
            initial: rate at the beginning of training.

        Raises:
            ValueError: `restart` is less than 1.
        """
        _check_count("restart", restart, least=1)
        if self.to == "random":
            low, high = self._bounds()
            # A text, because Python hashes it whole: close seeds give unrelated draws, in every process the same.
            part = random.Random(f"{self.seed}/{restart}").random()
            return min(high, max(low, low * math.pow(high / low, part)))
        if self.to == "decayed":
            return max(_LEAST_RATE, initial * math.pow(self.factor, restart))
        return initial

    def _bounds(self) -> tuple[float, float]:
        if self.low is None or self.high is None:
            raise ValueError(f"a random rate must have low and high; got {self.low!r} and {self.high!r}; set both")
        _check_rate("low", self.low)
        _check_rate("high", self.high)
        if self.low >= self.high:
            raise ValueError(f"low must be less than high = {self.high!r}; got {self.low!r}; swap them")
        return self.low, self.high


def restart_cycles(cycle: Cycle, *, restarts: int, multiplier: float = 1.0, reset: Reset | None = None) -> list[Cycle]:
    """The cycles of a training with warm restarts (SGDR, Loshchilov & Hutter 2017, section 3).

    Args:
        cycle: the first cycle.
        restarts: number of cycles after the first, at least 0.
        multiplier: length of a cycle divided by the length of the cycle before it (T_mult of SGDR), at least 1. Lengths
            are rounded to whole epochs.
        reset: rule for the rate at the start of a new cycle. Default: the initial rate.

    Returns:
        1 + `restarts` cycles, which differ from the first in `initial` and `epochs`.

    Raises:
        ValueError: `restarts` is negative, `multiplier` is less than 1, or the last cycle is longer than 10^9 epochs.
    """
    _check_count("restarts", restarts, least=0)
    if not (math.isfinite(multiplier) and multiplier >= 1):
        raise ValueError(f"multiplier must be finite and at least 1; got {multiplier!r}; 1 keeps the cycles' length")
    if math.log(cycle.epochs) + restarts * math.log(multiplier) > math.log(_MOST_EPOCHS):
        raise ValueError(
            f"the last cycle must be at most {_MOST_EPOCHS} epochs long; got {cycle.epochs} times "
            f"{multiplier!r} to the power of {restarts}; take fewer restarts"
        )
    reset = reset or Reset()
    return [cycle] + [
        dataclasses.replace(
            cycle, initial=reset.rate_after(number, cycle.initial), epochs=round(cycle.epochs * multiplier**number)
        )
        for number in range(1, restarts + 1)
    ]


def _check_rate(name: str, value: float) -> None:
    if not _LEAST_RATE <= value <= _LARGEST_RATE:
        raise ValueError(
            f"{name} must be a learning rate from {_LEAST_RATE:g} to {_LARGEST_RATE:g}; got {value!r}; 0.01 is common"
        )


def _check_factor(factor: float) -> None:
    if not 0 < factor <= 1:
        raise ValueError(f"factor must be above 0 and at most 1; got {factor!r}; 0.5 halves the rate")


def _check_count(name: str, value: int, *, least: int) -> None:
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}; got {value!r}; round it or leave it out")
