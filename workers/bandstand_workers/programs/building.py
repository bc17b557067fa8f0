"""Builds what a model has besides its weights, before its first step: metrics, losses, optimizer variables.

The one place where a private method of Keras's is called.
"""

from __future__ import annotations

from typing import Any

import keras

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
        # There is no public way to build a model's metrics without training or testing on a batch.
        model._symbolic_build(data_batch=batch)
    except Exception:  # a user's model may raise anything where it sees symbolic inputs
        return False
    return True
