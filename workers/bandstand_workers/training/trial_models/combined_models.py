"""Several trained states of one architecture as one Keras model: the average of their weights, or an ensemble.

Knows Keras models and their weights. Must not know which states are put together, nor whether that is worth it.

Average: stochastic weight averaging (Izmailov et al., Averaging Weights Leads to Wider Optima and Better
Generalization, UAI 2018). Ensemble: snapshot ensembles (Huang et al., Snapshot Ensembles: Train 1, Get M for Free,
ICLR 2017).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from bandstand_workers.internals import keras_parts
from bandstand_workers.training.checkpoints import Checkpoint
from bandstand_workers.training.trial_models import model_state

__all__ = ["make_ensemble", "members_of", "renew_statistics", "set_average", "surplus_penalty"]

_COMPILED_WITH = ("loss", "loss_weights", "metrics", "weighted_metrics")


def set_average(model: Any, states: Iterable[Checkpoint]) -> None:
    """Give a model the mean of several states' weights; what is no real number, such as a counter, has the last one's.

    What is not trained is averaged too. For the moving statistics of batch normalization that is not enough, since
    those of averaged weights are others: see `renew_statistics`.

    Raises:
        ValueError: a state is of a model of another shape.
    """
    sums: list[Any] = []
    count = 0
    for state in states:
        model_state.take_weights(state, model)
        weights = [np.asarray(weight) for weight in model.get_weights()]
        real = [keras.backend.is_float_dtype(variable.dtype) for variable in model.weights]
        values = [w.astype(np.float64) if is_real else w for w, is_real in zip(weights, real, strict=True)]
        sums = [s + v if is_real else v for s, v, is_real in zip(sums or [0] * len(values), values, real, strict=True)]
        count += 1
    model.set_weights([s / count if is_real else s for s, is_real in zip(sums, real, strict=True)])


def renew_statistics(model: Any, x: Any, batches: Iterable[Any]) -> None:
    """Measure the moving statistics of batch normalization anew, in one pass over training examples.

    Each becomes the mean over the examples, as in the paper: the momentum of batch k is such that all examples count
    the same. Layers that are frozen keep theirs. The model works as in training meanwhile, dropout included.

    Args:
        model: a built model.
        x: the inputs, a structure of arrays.
        batches: indices of the examples of each batch.
    """
    layers = [layer for layer in keras_parts.all_layers(model) if _keeps_statistics(layer)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    seen = 0
    try:
        for indices in batches:
            for layer in layers:
                layer.momentum = seen / (seen + len(indices))
            model(keras.tree.map_structure(lambda array: array[indices], x), training=True)  # noqa: B023
            seen += len(indices)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def make_ensemble(members: list[Any], x: Any) -> Any:
    """A compiled model whose outputs are the means of its members' outputs; made of Keras's own layers.

    Args:
        members: built and compiled models of one architecture; they become part of it.
        x: inputs of training, for their shapes.

    Raises:
        ValueError: a model with a `test_step` of its own: an ensemble has none, so they could not be compared.
    """
    first = members[0]
    if type(first).test_step is not keras.Model.test_step:
        raise ValueError("a model with its own test_step cannot be part of an ensemble; use result = 'average'")
    settings = _settings_of(first)
    for number, member in enumerate(members, start=1):
        member.name = f"member_{number}"  # layers of one model must have names of their own
        member.compiled = False  # else the file has what it was compiled with, whoever loads it without compiling
    named = isinstance(x, dict)
    inputs = {name: _input_for(x[name], name) for name in x} if named else keras.tree.map_structure(_input_for, x)
    outputs = [member(inputs) for member in members]
    names = iter(getattr(first, "output_names", ()))
    mean = keras.tree.map_structure(
        lambda *parts: keras.layers.Average(name=next(names, None), dtype="float32")(list(parts)), *outputs
    )
    ensemble = keras.Model(inputs, mean, name="ensemble")
    ensemble.compile(**settings)
    return ensemble


def members_of(ensemble: Any) -> list[Any]:
    """The models that `make_ensemble` was given, in their order."""
    named = {layer.name: layer for layer in ensemble.layers}
    return [named[name] for name in (f"member_{number}" for number in range(1, len(named) + 1)) if name in named]


def surplus_penalty(ensemble: Any, members: int) -> float:
    """By how much an ensemble's loss is too high to be compared with that of one model.

    The penalties on weights (L1, L2) of all members are added up in it, where their mean belongs.
    """
    penalties = [
        float(keras.ops.convert_to_numpy(variable.regularizer(variable)))
        for variable in ensemble.trainable_variables
        if getattr(variable, "regularizer", None) is not None
    ]
    return sum(penalties) * (1 - 1 / members)


def _settings_of(model: Any) -> dict[str, Any]:
    """What a model was compiled with, as far as evaluation needs it."""
    given = keras_parts.compiled_with(model)
    return {name: given[name] for name in _COMPILED_WITH if given.get(name) is not None}


def _keeps_statistics(layer: Any) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization) and layer.trainable


def _input_for(array: Any, name: str | None = None) -> Any:
    """An input as `fit` gives it to a model: real numbers in Keras's own precision."""
    dtype = keras.backend.standardize_dtype(array.dtype)
    return keras.Input(
        array.shape[1:], dtype=keras.config.floatx() if keras.backend.is_float_dtype(dtype) else dtype, name=name
    )
