"""Which way a compiled metric is better, where it is one of Keras's own.

Knows Keras's metrics and losses. Must not know names' meanings, nor what follows from a contradiction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import keras

from bandstand.problem.directions import Direction

__all__ = ["compiled_direction"]

_UP = (
    "AUC", "Accuracy", "BinaryAccuracy", "BinaryIoU", "CategoricalAccuracy", "ConcordanceCorrelation",
    "CosineSimilarity", "F1Score", "FBetaScore", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU", "PearsonCorrelation",
    "Precision", "PrecisionAtRecall", "R2Score", "Recall", "RecallAtPrecision", "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "SpecificityAtSensitivity",
    "TopKCategoricalAccuracy", "TrueNegatives", "TruePositives",
)  # fmt: skip
_DOWN = (
    "BinaryCrossentropy", "CategoricalCrossentropy", "CategoricalHinge", "FalseNegatives", "FalsePositives", "Hinge",
    "KLDivergence", "LogCoshError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError",
    "MeanSquaredLogarithmicError", "Poisson", "RootMeanSquaredError", "SparseCategoricalCrossentropy", "SquaredHinge",
)  # fmt: skip
_DIRECTIONS: dict[type, Direction] = {
    **{getattr(keras.metrics, name): "maximize" for name in _UP if hasattr(keras.metrics, name)},
    **{getattr(keras.metrics, name): "minimize" for name in _DOWN if hasattr(keras.metrics, name)},
}
"""Of Keras's own classes. What somebody derives from one may turn it around, so a derived class tells nothing."""


def compiled_direction(model: Any, metric: str) -> tuple[Direction, str] | None:
    """The direction of a metric that a model was compiled with, and the name of its class or function.

    Args:
        model: compiled, and run on a batch.
        metric: a key of Keras's epoch logs.

    Returns:
        None where nothing of this name was compiled, what was is not Keras's own, or several are and differ.
    """
    key = metric.removeprefix("val_")
    found = [_direction_of(compiled) for compiled in _compiled(model) if _is_called(compiled.name, key)]
    return found[0] if found and len({told and told[0] for told in found}) == 1 else None


def _compiled(model: Any) -> Iterator[Any]:
    """All metrics of a model; Keras keeps those of `compile` in one that holds them."""
    for metric in model.metrics:
        yield from getattr(metric, "metrics", None) or [metric]


def _is_called(name: str, key: str) -> bool:
    """Whether a metric of this name is reported as `key`: the output comes before it, a number may follow."""
    return re.fullmatch(rf"(.+_)?{re.escape(name)}(_\d+)?", key) is not None


def _direction_of(metric: Any) -> tuple[Direction, str] | None:
    if type(metric) in _DIRECTIONS:
        return _DIRECTIONS[type(metric)], type(metric).__name__
    if type(metric) is not keras.metrics.MeanMetricWrapper:
        return None
    loss = _loss_in(metric.get_config()["fn"])  # a loss that was compiled as a metric: Keras takes its mean
    return None if loss is None else ("minimize", loss)


def _loss_in(wrapped: dict[str, Any]) -> str | None:
    """The name of the loss of Keras in what `keras.saving` says of a wrapped object; None if it is none."""
    name = wrapped.get("class_name" if wrapped.get("module") == "keras.losses" else "config")
    return name if isinstance(name, str) and hasattr(keras.losses, name) else None
