"""Builds what a model has besides its weights, before its first step: metrics, losses, optimizer variables.

Knows which models cannot be built so. Must not know what they are built for.
"""

from __future__ import annotations

from typing import Any

import keras

from bandstand_workers.internals import keras_parts

__all__ = ["metrics_built"]


def metrics_built(model: Any, batch: Any) -> bool:
    """Make the variables of a compiled model's metrics, as `fit` does for some backends before it begins.

    Args:
        model: compiled, with weights.
        batch: (x, y) or (x, y, sample_weight); only shapes and types matter.

    Returns:
        Whether they could be made. Some models can only be built by a real step.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    if any(leaf.dtype == "string" for leaf in keras.tree.flatten(batch)):
        return False  # there are no symbolic strings
    try:
        keras_parts.build_symbolically(model, batch)
    except Exception:  # noqa: BLE001  # a user's model may raise anything where it sees symbolic inputs
        return False
    return True
