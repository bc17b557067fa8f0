"""Takes the state out of a Keras model in training, and puts it back into a freshly built one.

Knows what of a model, its optimizer and its callbacks makes up the state. Must not know where a checkpoint is kept.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from workers.checkpoints import BestWeights, Checkpoint

__all__ = ["capture", "inherited", "restore"]


def capture(model: Any, epoch: int, callbacks: list[Any], best: BestWeights) -> Checkpoint:
    """The state of a compiled Keras model in training, at the end of `epoch`."""
    return Checkpoint(
        epoch=epoch,
        variables=[_copied(variable) for variable in model.variables],
        optimizer=[_copied(variable) for variable in model.optimizer.variables],
        callbacks=[_state_of(callback) for callback in callbacks],
        best=best,
    )


def inherited(checkpoint: Checkpoint, weights: str) -> Checkpoint:
    """What a child takes over from its parent's checkpoint; its own best epoch is yet to come.

    Args:
        checkpoint: the parent's.
        weights: `last`: all of its last epoch's state; `best`: the weights of its best epoch, for a fresh optimizer and
            fresh callbacks, whose state belongs to other weights.
    """
    if weights == "last":
        return replace(checkpoint, best=BestWeights(), inherited=True)
    variables = checkpoint.best.weights or checkpoint.variables
    return replace(checkpoint, variables=variables, optimizer=[], callbacks=[], best=BestWeights(), inherited=True)


def restore(checkpoint: Checkpoint, model: Any, callbacks: list[Any]) -> None:
    """Put a freshly built and compiled model, and its callbacks, into a checkpoint's state.

    Raises:
        ValueError: the checkpoint is of another model.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    _assign("model", model.variables, checkpoint.variables, checkpoint.inherited)
    if checkpoint.optimizer or not checkpoint.inherited:
        rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) if checkpoint.inherited else None
        _assign("optimizer", model.optimizer.variables, checkpoint.optimizer, checkpoint.inherited)
        if rate is not None and any(
            model.optimizer.learning_rate is variable for variable in model.optimizer.variables
        ):
            model.optimizer.learning_rate = rate
    if checkpoint.inherited and not checkpoint.callbacks:
        return
    for callback, state in zip(callbacks, checkpoint.callbacks, strict=True):
        for name, value in state.items():
            setattr(callback, name, value)


def _assign(kind: str, variables: list[Any], values: list[Any], inherited: bool) -> None:
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        cause = (
            "a parameter that its strategy changes also changes the model's shape"
            if inherited
            else ("the builder has changed since the study began")
        )
        raise ValueError(
            f"a checkpoint must fit the {kind} that the builder makes; its variables have other shapes: {cause}"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


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
