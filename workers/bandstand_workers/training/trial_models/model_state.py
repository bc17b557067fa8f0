"""Takes the state out of a Keras model in training, and puts it back into a freshly built one.

Knows what of a model, its optimizer and its callbacks makes up the state. Must not know where a checkpoint is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras

from bandstand_workers.internals import keras_parts
from bandstand_workers.programs.building import build_optimizer, optimizer_size
from bandstand_workers.programs.python_state.reading import read_python_state
from bandstand_workers.programs.python_state.walk_results import FoundVariable, value_of
from bandstand_workers.training.checkpoints import BestWeights, Checkpoint, CheckpointError
from bandstand_workers.training.checkpoints.callback_state import BegunCallback, put_back

__all__ = [
    "OtherShapeError",
    "capture",
    "inherited",
    "lacks_variables",
    "restore",
    "take_weights",
    "untracked_variables",
]


_OTHER_CAUSES = {
    "optimizer": ", or a callback freezes layers in the first epoch; freeze them in the builder or in on_train_begin, "
    "because a resumed trial runs both again"
}
"""Why a checkpoint may not fit a part of the model, besides a builder that has changed."""


def capture(model: Any, epoch: int, callbacks: Sequence[BegunCallback], best: BestWeights) -> Checkpoint:
    """The state of a compiled Keras model in training, at the end of `epoch`."""
    return Checkpoint(
        epoch=epoch,
        variables=[value_of(variable) for variable in model.variables],
        optimizer=[value_of(variable) for variable in _optimizer_variables(model)],
        others={path: value_of(variable) for path, variable in _others(model).items()},
        callbacks=[callback.state() for callback in callbacks],
        best=best,
        random_states=tuple(index for index, variable in enumerate(model.variables) if _is_random_state(variable)),
    )


def lacks_variables(checkpoint: Checkpoint, model: Any) -> bool:
    """Whether a model has no place yet for variables of a checkpoint of its own: its first step makes them."""
    if len(model.variables) < len(checkpoint.variables):
        return True
    if checkpoint.inherited:
        return False
    return optimizer_size(model) < len(checkpoint.optimizer) or bool(checkpoint.others.keys() - _others(model).keys())


def untracked_variables(model: Any) -> list[str]:
    """The paths of variables that a model computes with and that are none of its weights, so that no file has them."""
    sums = {id(variable) for variable in model.metrics_variables}
    owners = keras.optimizers.Optimizer | keras.metrics.Metric | keras.random.SeedGenerator
    return [
        found.path.removeprefix("model.")
        for found in _found_beyond(model)
        if id(found.variable) not in sums and not isinstance(found.owner, owners)
    ]


def _others(model: Any) -> dict[str, Any]:
    """The variables that a model can reach beyond its weights and its optimizer's, by path.

    Without the sums of Keras's own metrics, which are naught at each epoch's beginning.
    """
    sums = {id(variable) for variable in model.metrics_variables}
    return {
        found.path: found.variable
        for found in _found_beyond(model)
        if not (id(found.variable) in sums and type(found.owner).__module__.startswith("keras."))
    }


def _found_beyond(model: Any) -> list[FoundVariable]:
    """What a walk over a model finds beyond its weights and its optimizer's variables."""
    known = {id(variable) for variable in (*model.variables, *_optimizer_variables(model))}
    return [found for found in read_python_state(model).variables if id(found.variable) not in known]


def _optimizer_variables(model: Any) -> list[Any]:
    return list(getattr(model.optimizer, "variables", []))


def inherited(checkpoint: Checkpoint, weights: str) -> Checkpoint:
    """What a child takes over from its parent's checkpoint; its own best epoch is yet to come.

    Callbacks are not among it: they are made with the child's params, and what they hold of the parent's, a factor as
    well as a counter, cannot be told apart.

    Args:
        checkpoint: the parent's.
        weights: `last`: those of its last epoch, with the optimizer's moments; `best`: those of its best epoch, for a
            fresh optimizer, whose moments would belong to other weights.
    """
    best = checkpoint.best.weights
    if weights == "last" or not best:  # there is no best epoch where none had a finite value
        moments = checkpoint.optimizer if weights == "last" else []
        others = checkpoint.others if weights == "last" else {}
        return replace(checkpoint, optimizer=moments, others=others, callbacks=[], best=BestWeights(), inherited=True)
    return replace(
        checkpoint,
        variables=best,
        random_states=(),
        optimizer=[],
        others={},
        callbacks=[],
        best=BestWeights(),
        inherited=True,
    )


def restore(checkpoint: Checkpoint, model: Any, callbacks: list[Any]) -> None:
    """Put a freshly built and compiled model, and its callbacks, into a checkpoint's state.

    Raises:
        CheckpointError: the checkpoint is of another model, or of other callbacks.
        OtherShapeError: it is a parent's, of a model of another shape.
    """
    build_optimizer(model)
    if checkpoint.inherited:
        _take_over(checkpoint, model)
        return
    others = _others(model)
    paths = list(checkpoint.others)
    parts = {
        "model": (model.variables, checkpoint.variables),
        "optimizer": (_optimizer_variables(model), checkpoint.optimizer),
        "other variables": (
            [others[path] for path in paths if path in others],
            list(checkpoint.others.values()),
        ),
    }
    best = checkpoint.best.weights
    fits = {name: _fits(*both) for name, both in parts.items()} | {"weights": not best or _fits(model.weights, best)}
    for name, fitting in fits.items():
        if not fitting:
            raise CheckpointError(
                f"a checkpoint must fit the {name} that the builder makes; {checkpoint.file} has variables of other "
                f"shapes: the builder has changed since the study began{_OTHER_CAUSES.get(name, '')}",
                "other shape",
            )
    for variables, values in parts.values():
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    _finalize_layers(model)
    _restore_callbacks(checkpoint, callbacks)


def _finalize_layers(model: Any) -> None:
    """Have layers that were adapted to data compute by the variables that they have now been given."""
    for layer in keras_parts.all_layers(model):
        if isinstance(layer, keras.layers.Normalization) and layer.built and layer.input_mean is None:
            layer.finalize_state()


def _restore_callbacks(checkpoint: Checkpoint, callbacks: list[Any]) -> None:
    made, kept = [type(callback).__name__ for callback in callbacks], [state.name for state in checkpoint.callbacks]
    if made != kept:
        raise CheckpointError(
            f"a checkpoint must be of the study's callbacks, {', '.join(made) or 'none'}; {checkpoint.file} has those "
            f"of {', '.join(kept)[:200] or 'none'}: the callbacks have changed since the study began",
            "other callbacks",
        )
    for callback, state in zip(callbacks, checkpoint.callbacks, strict=True):
        try:
            put_back(state, callback)
        except Exception as error:  # whoever wrote it may have meant harm, so anything may be wrong with it
            raise CheckpointError(
                f"a checkpoint must fit the study's callbacks; {checkpoint.file} has a state that {state.name} cannot "
                f"take: {type(error).__name__}",
                "other callbacks",
            ) from error


class OtherShapeError(ValueError):
    """A child's model cannot have its parent's weights, nor can any other child for which the same was changed."""


def take_weights(checkpoint: Checkpoint, model: Any) -> None:
    """Give a model a checkpoint's weights, and nothing else of it.

    Raises:
        OtherShapeError: the checkpoint is of a model of another shape.
    """
    # A layer's random state is its own. Whether there is one depends on the params, since a dropout of 0 has none.
    weights = [variable for variable in model.variables if not _is_random_state(variable)]
    values = [value for index, value in enumerate(checkpoint.variables) if index not in checkpoint.random_states]
    if not _fits(weights, values):
        raise OtherShapeError(
            "a child needs a model of the same shape as its parent's to take over the weights; got other shapes: leave "
            "the parameter that changes the shape out of option explore"
        )
    for variable, value in zip(weights, values, strict=True):
        variable.assign(value)


def _take_over(checkpoint: Checkpoint, model: Any) -> None:
    """Give a child's model its parent's weights, and its optimizer the parent's moments where it has such."""
    take_weights(checkpoint, model)
    _finalize_layers(model)
    for path, variable in _others(model).items():
        value = checkpoint.others.get(path)
        if value is not None and value.shape == tuple(variable.shape) and not path.endswith("_learning_rate"):
            variable.assign(value)
    optimizer = model.optimizer
    if not _fits(optimizer.variables, checkpoint.optimizer):
        return  # such as a momentum that was 0 and is no longer: there are no moments to take over
    rate = optimizer.learning_rate
    for variable, value in zip(optimizer.variables, checkpoint.optimizer, strict=True):
        if variable is not rate:
            variable.assign(value)


def _fits(variables: list[Any], values: list[Any]) -> bool:
    return [tuple(variable.shape) for variable in variables] == [value.shape for value in values]


def _is_random_state(variable: Any) -> bool:
    """Whether this is what a Keras SeedGenerator keeps; no layer counts it among its weights."""
    return str(variable.name) == "seed_generator_state"
