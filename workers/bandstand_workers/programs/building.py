"""Builds what a model has besides its weights, before its first step: metrics, losses, optimizer variables.

Knows which models cannot be built so. Must not know what they are built for.
"""

from __future__ import annotations

from typing import Any

import keras

from bandstand_workers.internals import keras_parts
from bandstand_workers.programs.overriding import overrides

__all__ = ["build_optimizer", "metrics_built", "optimizer_size"]


def metrics_built(model: Any, batch: Any) -> bool:
    """Make the variables of a compiled model's metrics, as `fit` does for some backends before it begins.

    Args:
        model: compiled, with weights.
        batch: (x, y) or (x, y, sample_weight); only shapes and types matter.

    Returns:
        Whether they could be made. Some models can only be built by a real step.
    """
    build_optimizer(model)
    if not _builds_before_its_first_step(model):
        return False
    if any(leaf.dtype == "string" for leaf in keras.tree.flatten(batch)):
        return False  # there are no symbolic strings
    try:
        keras_parts.build_symbolically(model, batch)
    except Exception:  # noqa: BLE001  # a user's model may raise anything where it sees symbolic inputs
        return False
    return True


def build_optimizer(model: Any) -> None:
    """Make the variables of a compiled model's optimizer, where it is known which variables it will be given.

    On TensorFlow a step of the user's own decides that: it may give the optimizer a part of the model's, or none.
    """
    optimizer = model.optimizer
    if optimizer is not None and not optimizer.built and _builds_before_its_first_step(model):
        optimizer.build(model.trainable_variables)


def optimizer_size(model: Any) -> int:
    """How many variables a compiled model's optimizer has, or will have where all that is trainable now is trained.

    Nothing is built: what a callback freezes before the first step, an optimizer of `fit` never has variables for.
    """
    optimizer = model.optimizer
    if optimizer is None or not hasattr(optimizer, "variables"):
        return 0
    if not optimizer.built and _builds_before_its_first_step(model):
        try:
            optimizer = type(optimizer).from_config(optimizer.get_config())
            optimizer.build(model.trainable_variables)
        except Exception:  # noqa: BLE001  # an optimizer of the user's need not describe itself
            build_optimizer(model)
            optimizer = model.optimizer
    return len(optimizer.variables)


def _builds_before_its_first_step(model: Any) -> bool:
    """Whether all of a model's state is known before it is trained: on JAX it must be, whoever wrote the step."""
    return keras.backend.backend() == "jax" or not overrides(model, keras.Model, "train_step")
