"""TensorFlow's private parts. Each function names the part that it stands on, and what happens if it is given up.

Knows TensorFlow 2.20 and 2.21, where all of them are the same. Must not know Keras, nor whether it runs on TensorFlow.
"""

from __future__ import annotations

import random
from typing import Any

from tensorflow.python.eager import context
from tensorflow.python.framework import ops

__all__ = ["forget_custom_gradients", "is_of_table", "set_seed"]

_TRACED = "CustomGradient-"
"""What TensorFlow begins the names with that it gives to gradients while it traces."""


def set_seed(seed: int) -> None:
    """Have stateful operations that are run from now on draw from this seed; programs that are compiled stay so.

    Stands on the eager context's `_seed` and `_rng`, which `tf.random.set_seed` sets too before it empties the cache of
    kernels. If TensorFlow keeps its seed elsewhere, `tf.random` draws other numbers without a word.
    """
    eager = context.context()
    eager._seed, eager._rng = seed, random.Random(seed)


def forget_custom_gradients() -> None:
    """Unregister the gradients that traces have registered under names of their own.

    TensorFlow keeps each for the life of the process, and with it the graph of a model that nobody has any more: about
    3 MB a trace. They are used while a training step is traced, and by nobody later.

    Stands on `gradient_registry._registry` and on how TensorFlow names these gradients; there is no public way to
    unregister. If the attribute goes, an AttributeError ends a trial in sixteen; if the names change, a trainer grows
    until it is replaced.
    """
    registered = ops.gradient_registry._registry
    for name in [name for name in registered if name.startswith(_TRACED)]:
        del registered[name]


def is_of_table(handle: Any) -> bool:
    """Whether a resource is a look-up table's.

    Stands on `EagerTensor._parent_trackable`. If it goes, programs of models with look-up tables serve one trial each.
    """
    owner = getattr(handle, "_parent_trackable", lambda: None)()
    return "Table" in type(owner).__name__
