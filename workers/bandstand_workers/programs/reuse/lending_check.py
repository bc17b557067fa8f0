"""Whether a kept program trains a fresh model as the model's own steps do: both are run on one batch and compared.

Knows how near two computations of one thing come. Must not know why a program was thought to fit, nor what follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from bandstand_workers.internals import keras_parts
from bandstand_workers.programs.building import build_optimizer
from bandstand_workers.programs.python_state.reading import read_python_state
from bandstand_workers.programs.python_state.walk_results import FoundVariable
from bandstand_workers.programs.reuse.kept_models import KeptModel

__all__ = ["difference_in_steps", "difference_in_validation"]

Array = np.ndarray[Any, Any]

_LOGS = {"float32": 2e-4, "other": 3e-2}
"""Relative difference of a metric on a batch that rounding alone may make, by precision."""
_CHANGES = {"float32": 1e-3, "other": 1e-1}
"""The same for what a step changes, in proportion to how much the variable's elements change on average."""
_LATE_STEP = 1000
_SHAKE = 2e-7
"""About one rounding of a `float32`, relatively."""
_AGREEING = 0.9
"""Share of a variable's elements that must agree: where a gradient is next to nothing, Adam may step either way."""


def difference_in_validation(kept: KeptModel, fresh: Any) -> str | None:
    """What is different where the kept program and the fresh model's own step validate a batch; None if nothing.

    Both have the same values of variables beforehand. Nothing but metrics changes.
    """
    batch, logs = kept.program.probe(train=False)
    return _difference_of_logs(logs, kept.program.own_step(fresh, batch, train=False), _precision(fresh))


def difference_in_steps(
    kept: KeptModel,
    fresh: Any,
    variables: Sequence[FoundVariable],
    values: Sequence[Array],
    constants: Sequence[float],
) -> str | None:
    """What is different where both train on a batch: a first step, and a late one where the rate depends on the step.

    Args:
        kept: with the program.
        fresh: a model that the kept one was made equal to.
        variables: of the fresh model, in the order of the walk.
        values: theirs before any step. Both models have others afterwards.
        constants: of the kept model's slots.

    Returns:
        None if nothing.
    """
    for steps_taken in (0, _LATE_STEP) if _depends_on_the_step(fresh, variables) else (0,):
        begun = [
            np.full_like(value, steps_taken) if steps_taken and _is_step_count(found) else value
            for found, value in zip(variables, values, strict=True)
        ]
        for found, value in zip(variables, begun, strict=True):
            found.variable.assign(value)
        kept.renew(begun, constants)
        kept.put_back_late(fresh)
        difference = _difference_in_step(kept, fresh)
        if difference is not None:
            return difference
    return None


def _difference_in_step(kept: KeptModel, fresh: Any) -> str | None:
    """As `difference_in_steps`, of one step.

    If a variable comes out differently, the fresh model takes its step again from values that are changed by about one
    rounding. Elements that this changes depend on rounding alone and are not compared. For example, the bias before a
    batch normalization has a gradient of zero, and Adam moves it all the same.

    Both have the same values of variables beforehand, and others afterwards.
    """
    build_optimizer(fresh)
    before = _values(fresh)
    late = {found.path: value for found, value in kept.late}
    batch, logs = kept.program.probe(train=True)
    own_logs = kept.program.own_step(fresh, batch, train=True)
    precision = _precision(fresh)
    difference = _difference_of_logs(logs, own_logs, precision)
    if difference is not None:
        return difference
    ours, own = _values(kept.model), _values(fresh)
    begun = late | before
    for path in own:
        if path not in ours or path not in begun:
            return f"{path.removeprefix('model.')} is a variable of one and not of the other"
    tolerance = _CHANGES[precision]
    differing = [path for path, value in own.items() if not _changed_alike(begun[path], ours[path], value, tolerance)]
    if not differing:
        return None
    _set_shaken(fresh, begun)
    kept.program.own_step(fresh, batch, train=True)
    shaken = _values(fresh)
    for path in differing:
        if not _changed_alike(begun[path], ours[path], own[path], tolerance, shaken[path]):
            return f"{path.removeprefix('model.')} after a step"
    return None


def _depends_on_the_step(model: Any, variables: Sequence[FoundVariable]) -> bool:
    """Whether a step may do something else later: an optimizer has a schedule, or not all classes are Keras's own."""
    optimizers = [found.owner for found in variables if _is_step_count(found)]
    parts = [model, *keras_parts.all_layers(model), *optimizers]
    has_own_classes = any(not type(part).__module__.startswith("keras.") for part in parts)
    return has_own_classes or any(not isinstance(each.learning_rate, keras.Variable) for each in optimizers)


def _is_step_count(found: FoundVariable) -> bool:
    """Whether a variable is the number of steps that an optimizer has taken, which schedules go by."""
    return isinstance(found.owner, keras.optimizers.Optimizer) and found.path.endswith("._iterations")


def _set_shaken(model: Any, values: Mapping[str, Array]) -> None:
    """Give a model's variables these values, the real ones among them changed by about one rounding."""
    rng = np.random.default_rng(0)
    for found in read_python_state(model).variables:
        value = values[found.path]
        if np.issubdtype(value.dtype, np.floating):
            value = (value * (1 + _SHAKE * rng.choice([-1.0, 1.0], value.shape))).astype(value.dtype)
        found.variable.assign(value)


def _values(model: Any) -> dict[str, Array]:
    return {found.path: found.value for found in read_python_state(model).variables}


def _precision(model: Any) -> str:
    policies = {layer.compute_dtype for layer in model.layers} | {model.compute_dtype}
    return "float32" if policies <= {"float32", "float64"} else "other"


def _difference_of_logs(ours: Mapping[str, float], own: Mapping[str, float], precision: str) -> str | None:
    if set(ours) != set(own):
        return f"metrics are {', '.join(sorted(ours))} and {', '.join(sorted(own))}"
    for name, value in own.items():
        if not np.isclose(ours[name], value, rtol=_LOGS[precision], atol=1e-6, equal_nan=True):
            return f"{name} is {ours[name]:.6g} and {value:.6g}"
    return None


def _changed_alike(begun: Array, ours: Array, own: Array, tolerance: float, shaken: Array | None = None) -> bool:
    """Whether two steps that began at the same values have come to the same ones.

    With `shaken`, the values after a step that began one rounding beside, only those elements count on which rounding
    has no influence. A variable of which rounding decides a tenth is not compared.
    """
    if not ours.shape == own.shape == begun.shape:
        return False
    if not np.issubdtype(own.dtype, np.floating) or not own.size:
        return bool(np.array_equal(ours, own))
    first, second, origin = (each.astype(np.float64) for each in (ours, own, begun))
    allowed = tolerance * _root_mean_square(second - origin) + 4 * np.finfo(np.float32).eps * np.abs(origin) + 1e-9
    with np.errstate(invalid="ignore"):
        agreeing = (np.abs(first - second) <= allowed) | (np.isnan(first) & np.isnan(second)) | (first == second)
    if shaken is None:
        return bool(agreeing.mean() >= _AGREEING)
    with np.errstate(invalid="ignore"):
        decided = np.abs(shaken.astype(np.float64) - second) <= allowed
    return decided.mean() < _AGREEING or bool(agreeing[decided].mean() >= _AGREEING)


def _root_mean_square(change: Array) -> float:
    finite: Array = change[np.isfinite(change)]
    return float(np.sqrt(np.mean(np.square(finite)))) if len(finite) else 0.0
