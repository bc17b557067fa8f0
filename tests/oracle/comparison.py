"""Whether two trainings of the same point are the same: within what tolerance, and where they first differ.

Knows numbers. Must not know who trained.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.oracle.programs import Program
from tests.oracle.results import Result

__all__ = ["Failure", "compare"]

_SINGLE, _HALF = 5e-4, 6e-2
"""Tolerance, relative and absolute, of an epoch's numbers: the same sums are taken in another order. A half-precision
number has 3 digits."""
_WEIGHTS = 5e-2
"""Of a variable's values at the end, relative to its largest. An adaptive optimizer makes a step of a gradient that is
nothing but rounding, such as of a bias before a normalization."""


@dataclass(frozen=True)
class Failure:
    """Where a trial is not what plain Keras makes of its point."""

    kind: str  # raises, differs, weights, score
    where: str
    expected: str
    got: str


def compare(program: Program, expected: Result, got: Result) -> Failure | None:
    """The first difference; None where there is none."""
    if got.error:
        return Failure("raises", f"after {len(got.epochs)} epochs", "trains", got.error)
    if got.epochs and not math.isfinite(got.epochs[-1]["val_loss"]):
        # Bandstand ends a trial that has diverged, with this epoch; plain Keras trains on.
        expected = dataclasses.replace(expected, epochs=expected.epochs[: len(got.epochs)], variables=got.variables)
    if len(expected.epochs) != len(got.epochs):
        return Failure("differs", "number of epochs", str(len(expected.epochs)), str(len(got.epochs)))
    tolerance = _HALF if program.half else _SINGLE
    for epoch, (theirs, ours) in enumerate(zip(expected.epochs, got.epochs, strict=True), start=1):
        failure = _differing("differs", f"epoch {epoch}", theirs, ours, tolerance)
        if failure is not None:
            return failure
    failure = _weights(expected.variables, got.variables, program)
    if failure is not None:
        return failure
    if got.score is None or not program.scores:
        return None
    reported = {name.removeprefix("val_"): value for name, value in _best(expected).items() if name[:4] == "val_"}
    return _differing("score", "the saved model", reported, got.score, tolerance)


def _best(result: Result) -> dict[str, float]:
    return min(result.epochs, key=lambda epoch: epoch["val_loss"])


def _differing(
    kind: str, where: str, theirs: dict[str, float], ours: dict[str, float], tolerance: float
) -> Failure | None:
    if list(theirs) != list(ours):
        return Failure(kind, f"{where}: names of metrics", ", ".join(theirs), ", ".join(ours))
    for name, value in theirs.items():
        if not _close(value, ours[name], tolerance):
            return Failure(kind, f"{where}: {name}", f"{value:.7g}", f"{ours[name]:.7g}")
    return None


def _close(one: float, other: float, tolerance: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other or abs(one - other) <= tolerance + tolerance * abs(one)


def _weights(expected: list[Any], got: list[Any], program: Program) -> Failure | None:
    shapes = [value.shape for _, value in expected], [value.shape for _, value in got]
    if shapes[0] != shapes[1]:
        return Failure("weights", "shapes of the variables", str(shapes[0]), str(shapes[1]))
    for (path, theirs), (_, ours) in zip(expected, got, strict=True):
        if theirs.dtype.kind in "iu":
            same = np.array_equal(theirs, ours)
        else:
            first, second = theirs.astype(float), ours.astype(float)
            largest = np.max(np.abs(first), initial=0.1, where=np.isfinite(first))
            limit = (_HALF if program.half else 0) + _WEIGHTS * largest
            same = np.allclose(first, second, rtol=0, atol=limit, equal_nan=True)
        if not same:
            return Failure("weights", path, _shown(theirs), _shown(ours))
    return None


def _shown(values: Any) -> str:
    return np.array2string(np.asarray(values).ravel()[:6], precision=5)
