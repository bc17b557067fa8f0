"""What Keras and TensorFlow keep for a whole process: names and seeds at a trial's beginning, and what piles up.

Knows what of a process's state is whose. Must not know trials. The public functions, `keras.utils.set_random_seed` and
`keras.backend.clear_session`, also empty TensorFlow's cache of kernels: every program kept for later trials would have
to be instantiated again, which takes longer than a small training (measured: 110 ms for a program of 9 epochs of 6 ms).
So private parts are used instead, which are in `internals`.
"""

from __future__ import annotations

import functools
import gc
import random
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import keras
import numpy as np

from bandstand_workers.internals import keras_parts

__all__ = ["EXCLUSIVE", "begin_trial", "clear", "exclusively", "use_policy"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

EXCLUSIVE = threading.RLock()
"""Held by whoever builds, traces or saves a model in a process of several threads: what is below is one for all."""


def exclusively(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Have a function hold `EXCLUSIVE`."""

    @functools.wraps(function)
    def held(*arguments: _P.args, **named: _P.kwargs) -> _R:
        with EXCLUSIVE:
            return function(*arguments, **named)

    return held


def begin_trial(seed: int) -> None:
    """Make what is built next independent of what was built before: layer names, and random numbers from `seed`.

    As `keras.utils.set_random_seed`, without emptying caches: TensorFlow's stateful random operations, which Keras's
    own layers do not use, draw on where the same seed is set twice in a process.
    """
    random.seed(seed)
    np.random.seed(seed % 2**32)
    keras_parts.set_seed_and_forget_names(seed)
    if keras.backend.backend() == "tensorflow":
        from bandstand_workers.internals import tensorflow_parts

        tensorflow_parts.set_seed(seed)


def clear(policy: keras.DTypePolicy) -> None:
    """Let go of what builds and traces have left behind; costs the kept programs one instantiation.

    Args:
        policy: the precision that the user's module has set, which Keras forgets here.
    """
    keras.backend.clear_session(free_memory=False)
    if keras.backend.backend() == "tensorflow":
        from bandstand_workers.internals import tensorflow_parts

        tensorflow_parts.forget_custom_gradients()
    use_policy(policy)
    gc.collect()


def use_policy(policy: keras.DTypePolicy) -> None:
    """Have the calling thread build with this precision, which Keras keeps for each thread."""
    if keras.config.dtype_policy() != policy:
        keras.config.set_dtype_policy(policy)
