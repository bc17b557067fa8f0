"""Three hundred learning curves of known kind, half of them of shapes that the diagnosis was not tuned on.

A kind is known because the curves are drawn without noise first: how far validation has risen above its lowest point
by the end, and how far it would still fall if it trained as long again, both in units of the curve (`unit_of`), say
what it is. Then comes noise: binomial for an accuracy on so many examples, multiplicative for a loss.

The tuned half falls exponentially and rises on a straight line, with independent noise. The held-out half falls by
power laws, logistic curves, steps of the learning rate and warm restarts, rises by square roots and squares, and has
noise with a memory and outliers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNTS", "Constructed", "Split", "constructed", "unit_of"]

Array = NDArray[np.float64]
Shape = Callable[[Array], Array]
COUNTS = {
    "well fit": 30, "overfit": 30, "still learning": 25, "underfit": 25, "not learning": 15, "diverged": 10,
    "not clear": 15,
}  # fmt: skip
"""Of each half."""


class Split(NamedTuple):
    """One metric on training and validation data."""

    name: str
    train: Array
    validation: Array
    best_train: float | None  # of all trials of its study; None: it has none beside it
    best_validation: float | None
    start: float | None  # the median first training value


class Constructed(NamedTuple):
    """One training."""

    kind: str
    objective: Split  # val_accuracy is maximized, anything else minimized
    loss: Split | None  # where the objective is no loss


class _Course(NamedTuple):
    """Errors without noise, at epochs 1 to 2n, of which the first n are shown."""

    train: Array
    validation: Array
    kind: str


def constructed(*, held_out: bool) -> list[Constructed]:
    """150 curves, the same ones each time."""
    rng = np.random.default_rng(20261130 + held_out)
    return [_training(kind, rng, held_out) for kind, count in COUNTS.items() for _ in range(count)]


def unit_of(curve: Array) -> float:
    """What a change is measured in: the smaller of what is left at the lowest point and what was gained until there."""
    gained = float(curve[0] - curve.min())
    return max(min(float(curve.min()), gained), 0.02 * gained, 1e-12)


# -- shapes -----------------------------------------------------------------------------------------------------------


def _fall(rng: np.random.Generator, epochs: int, pace: float, held_out: bool) -> Shape:
    """From 1 towards 0; at a pace of 1 about 2 % are left after `epochs`, at 0.2 most of it."""
    if not held_out:
        return lambda t: np.exp(-4.0 * pace * (t - 1) / epochs)
    form = rng.choice(["power", "logistic", "steps", "restarts"])
    if form == "power":
        power = rng.uniform(1.2, 2.0)
        return lambda t: (1 + 20 * pace**1.5 * (t - 1) / epochs) ** -power
    if form == "logistic":
        middle = rng.uniform(0.1, 0.25) / pace
        width = middle / 3.5
        top = 1 / (1 + np.exp(-middle / width))
        return lambda t: 1 / (1 + np.exp(((t - 1) / epochs - middle) / width)) / top
    if form == "steps":
        return lambda t: (
            0.7 * np.exp(-8 * pace * (t - 1) / epochs)
            + 0.3
            * np.exp(-20 * pace * np.maximum(0, t - 1 - 0.45 * epochs) / epochs)
            * np.exp(-pace * (t - 1) / epochs)
        )
    return lambda t: np.exp(-5 * pace * (t - 1) / epochs) * (1 + 0.15 * np.cos(2 * np.pi * 4 * (t - 1) / epochs)) / 1.15


def _rise(rng: np.random.Generator, epochs: int, turn: float, held_out: bool) -> Shape:
    """From 0 at the turn to about 1 after `epochs`."""
    share = 1 - turn
    if not held_out:
        return lambda t: np.maximum(0, (t - 1) / epochs - turn) / share
    power = rng.choice([0.6, 1.5])
    return lambda t: (np.maximum(0, (t - 1) / epochs - turn) / share) ** power


def _course(kind: str, rng: np.random.Generator, epochs: int, held_out: bool) -> _Course:
    """Errors that begin near 1, drawn until they are clearly of the kind."""
    t = np.arange(1, 2 * epochs + 1, dtype=float)
    while True:
        pace = rng.uniform(0.1, 0.5) if kind == "still learning" else rng.uniform(1.2, 4.0)
        fall = _fall(rng, epochs, pace, held_out)(t)
        floor = 10 ** (rng.uniform(-0.6, -0.15) if kind == "underfit" else rng.uniform(-2.5, -0.5))
        gap = rng.uniform(0.85, 1.5)
        train, validation = floor + (1 - floor) * fall, gap * floor + (1 - gap * floor) * fall
        if kind == "overfit":
            train = 0.02 * floor + (1 - 0.02 * floor) * _fall(rng, epochs, pace / 2, held_out)(t)
            height = floor * gap * rng.uniform(0.4, 3.0)
            validation = validation + height * _rise(rng, epochs, rng.uniform(0.15, 0.6), held_out)(t)
        if kind in ("well fit", "still learning") and rng.random() < 0.35:  # dropout makes training harder
            train, validation = validation * rng.uniform(1.1, 1.6), validation
            train = np.minimum(train, 1.2)
        if kind == "well fit" and rng.random() < 0.3:  # training has reached its ceiling
            train = np.maximum(0.0, 1.02 * fall - 0.02)
        if _kind_of(validation, epochs) == ("well fit" if kind == "underfit" else kind):
            return _Course(train, validation, kind)


def _kind_of(validation: Array, epochs: int) -> str:
    shown, unit = validation[:epochs], unit_of(validation[:epochs])
    rise = (shown[-1] - shown.min()) / unit
    more = (shown[-1] - validation.min()) / unit
    if rise > 0.25:
        return "overfit"
    if rise < 0.03 and more > 0.25:
        return "still learning"
    return "well fit" if rise < 0.03 and more < 0.05 else "between"


# -- trainings --------------------------------------------------------------------------------------------------------


def _training(kind: str, rng: np.random.Generator, held_out: bool) -> Constructed:
    if kind == "not clear":
        return _unclear(rng, held_out)
    epochs = int(np.exp(rng.uniform(np.log(10), np.log(200))))
    if kind == "not learning":
        return _dead(rng, epochs, held_out)
    if kind == "diverged":
        return _diverged(rng, epochs, held_out)
    course = _course(kind, rng, epochs, held_out)
    return _shown(course, rng, epochs, held_out, noise=10 ** rng.uniform(-3, -1.3))


def _shown(course: _Course, rng: np.random.Generator, epochs: int, held_out: bool, noise: float) -> Constructed:
    """As an accuracy with its loss, or as a loss alone, with noise."""
    train, validation = course.train[:epochs], course.validation[:epochs]
    alone = rng.random() < 0.4 and course.kind != "not learning"
    scale = 10 ** rng.uniform(-3, 4) if alone else rng.uniform(0.7, 4.6)
    others = None if rng.random() < 0.3 and course.kind != "underfit" else rng.uniform(0.2, 0.4)
    share = (others or 1.0) if course.kind == "underfit" else rng.uniform(0.9, 1.1)

    def split(name: str, train: Array, validation: Array, value: Callable[[float], float]) -> Split:
        known = others is not None
        return Split(
            name, train, validation,
            value(share * float(course.train[:epochs].min())) if known else None,
            value(share * float(course.validation[:epochs].min())) if known else None,
            value(float(rng.uniform(0.9, 1.1))) if known else None,
        )  # fmt: skip

    noisy = [
        scale * curve * np.exp(_noise(rng, epochs, held_out) * level)
        for curve, level in ((train, noise / 2), (validation, noise))
    ]
    loss = split("val_loss", *noisy, lambda error: scale * error)
    if alone:
        return Constructed(course.kind, loss, None)
    chance = rng.choice([0.5, 0.9])
    examples = int(10 ** rng.uniform(2.3, 4))
    errors = [np.minimum(chance, 0.95 * chance * curve) for curve in (train, validation)]
    seen = _accuracy(rng, errors[0], 5 * examples), _accuracy(rng, errors[1], examples)
    accuracy = split("val_accuracy", *seen, lambda error: 1 - min(chance, 0.95 * chance * error))
    return Constructed(course.kind, accuracy, loss)


def _accuracy(rng: np.random.Generator, errors: Array, examples: int) -> Array:
    """Of models that are asked the same examples each epoch: half of the binomial noise is common to all."""
    common = rng.standard_normal()
    spread = np.sqrt(np.maximum(errors * (1 - errors), 0) / examples)
    own = rng.standard_normal(len(errors))
    wrong = errors + spread * np.sqrt(0.5) * (common + own)
    return 1 - np.clip(np.round(wrong * examples) / examples, 0, 1)


def _noise(rng: np.random.Generator, epochs: int, held_out: bool) -> Array:
    """Of unit size: independent, or with a memory and outliers."""
    fresh = rng.standard_normal(epochs)
    if not held_out:
        return fresh
    fresh = np.where(rng.random(epochs) < 0.03, 4 * fresh, fresh)
    memory = rng.uniform(0.0, 0.5)
    noise = np.empty(epochs)
    last = 0.0
    for index, value in enumerate(fresh):
        last = noise[index] = memory * last + np.sqrt(1 - memory**2) * value
    return noise


def _dead(rng: np.random.Generator, epochs: int, held_out: bool) -> Constructed:
    """The same error from the first epoch to the last."""
    level = np.ones(2 * epochs) * rng.uniform(0.97, 1.0)
    drift = 1 + (0.003 * np.exp(-np.arange(2 * epochs) / 2) if held_out else 0.0)
    course = _Course(level * drift, level * rng.uniform(0.98, 1.02), "not learning")
    return _shown(course, rng, epochs, held_out, noise=10 ** rng.uniform(-4, -2))


def _diverged(rng: np.random.Generator, epochs: int, held_out: bool) -> Constructed:
    """Good at first, then as bad as at the beginning, far worse, or not a number."""
    course = _course("well fit", rng, epochs, held_out)
    turn = int(rng.integers(epochs // 3, max(epochs // 3 + 1, 2 * epochs // 3)))
    late = np.arange(2 * epochs) >= turn
    made = _shown(course._replace(kind="diverged"), rng, epochs, held_out, noise=0.01)
    how = rng.choice(["collapsed", "exploded", "not finite"])

    def end(curve: Array, worst: float) -> Array:
        after = late[: len(curve)]
        if how == "collapsed":
            return np.where(after, worst, curve)
        if how == "not finite":
            return np.where(np.arange(len(curve)) >= len(curve) - 1, np.nan, curve)
        return np.where(after, worst * (2.0 if held_out else 5.0) ** (np.arange(len(curve)) - turn).clip(0, 30), curve)

    loss = made.loss or made.objective
    loss = loss._replace(**{name: end(getattr(loss, name), 1.05 * loss.train[0]) for name in ("train", "validation")})
    if made.loss is None:
        return made._replace(objective=loss)
    first = float(made.objective.train[0])
    objective = made.objective._replace(
        train=np.where(late[:epochs], first, made.objective.train),
        validation=np.where(late[:epochs], first, made.objective.validation),
    )
    return made._replace(objective=objective, loss=loss)


def _unclear(rng: np.random.Generator, held_out: bool) -> Constructed:
    """Hardly any epochs, or noise in which nothing can be seen."""
    if rng.random() < 0.5:
        epochs = int(rng.integers(1, 6))
        kind = str(rng.choice(["well fit", "overfit"]))
        course = _course(kind, rng, 40, held_out)
        return _shown(course._replace(kind="not clear"), rng, epochs, held_out, noise=0.02)
    epochs = int(rng.integers(10, 60))
    course = _course("well fit", rng, epochs, held_out)
    middle = float(np.median(course.validation[:epochs]))
    jumps = middle + rng.uniform(0.5, 0.9) * middle * _noise(rng, epochs, held_out)
    made = _shown(course._replace(kind="not clear"), rng, epochs, held_out, noise=0.01)
    loss = made.loss or made.objective
    scale = float(np.median(loss.validation)) / middle
    return Constructed("not clear", loss._replace(validation=scale * np.abs(jumps)), None)


def iterate(held_out: bool) -> Iterator[Constructed]:
    """As `constructed`, one at a time."""
    yield from constructed(held_out=held_out)
