"""Takes the state out of a Keras model in training, and puts it back into a freshly built one.

Knows what of a model, its optimizer and its callbacks makes up the state. Must not know where a checkpoint is kept.
"""

from __future__ import annotations

import pickle
from typing import Any

import keras
import numpy as np

from workers.checkpoints import BestWeights, Checkpoint

__all__ = ["capture", "restore"]


def capture(model: Any, epoch: int, callbacks: list[Any], best: BestWeights) -> Checkpoint:
    """The state of a compiled Keras model in training, at the end of `epoch`."""
    return Checkpoint(
        epoch=epoch,
        variables=[_copied(variable) for variable in model.variables],
        optimizer=[_copied(variable) for variable in model.optimizer.variables],
        callbacks=[_state_of(callback) for callback in callbacks],
        best=best,
    )


def restore(checkpoint: Checkpoint, model: Any, callbacks: list[Any]) -> None:
    """Put a freshly built and compiled model, and its callbacks, into a checkpoint's state.

    Raises:
        ValueError: the checkpoint is of another model.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    for kind, variables, values in (
        ("model", model.variables, checkpoint.variables),
        ("optimizer", model.optimizer.variables, checkpoint.optimizer),
    ):
        shapes = [tuple(variable.shape) for variable in variables]
        if shapes != [value.shape for value in values]:
            raise ValueError(
                f"a checkpoint must fit the {kind} that the builder makes; its variables have other shapes: the "
                "builder has changed since the study began"
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    for callback, state in zip(callbacks, checkpoint.callbacks, strict=True):
        for name, value in state.items():
            setattr(callback, name, value)


def _state_of(callback: Any) -> dict[str, Any]:
    """A callback's attributes that can be carried along; Keras's links to the model cannot and need not be."""
    state = {}
    for name, value in vars(callback).items():
        if name in ("_model", "params", "validation_data") or isinstance(
            value, keras.Layer | keras.optimizers.Optimizer | keras.Variable
        ):
            continue
        try:
            state[name] = pickle.loads(pickle.dumps(value))  # a copy: the attribute may change before it is written
        except Exception:  # an open file, a lambda: not state that outlives a process
            continue
    return state


def _copied(variable: Any) -> np.ndarray[Any, Any]:
    """A variable's value as an array that later steps do not change."""
    return np.array(keras.ops.convert_to_numpy(variable))
