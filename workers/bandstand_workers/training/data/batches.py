"""Training batches whose order depends on (trial seed, epoch) alone.

So a resumed epoch sees what it would have seen, whatever was trained before it in this process.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["epoch_permutation", "first_rows", "for_keras", "make_batches"]


def epoch_permutation(seed: int, epoch: int, examples: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The order of examples in an epoch (counted from 1): indices, shape (examples,)."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(examples)


def first_rows(arrays: Any, count: int) -> Any:
    """The first examples of a split or of a part of one: arrays or tensors, in whatever structure they are."""
    import keras

    return keras.tree.map_structure(lambda array: array[:count], arrays)


def for_keras(arrays: Any) -> Any:
    """Arrays as Keras's own loops take them: text as TensorFlow's tensors, because they refuse most arrays of it."""
    import keras

    def converted(array: Any) -> Any:
        if array.dtype.kind != "O":
            return array
        import tensorflow as tf

        return tf.constant(array, tf.string)

    return keras.tree.map_structure(converted, arrays)


def make_batches(arrays: Any, *, batch_size: int, seed: int, first_epoch: int, last_epoch: int) -> tuple[Any, int]:
    """A `tf.data.Dataset` that yields the batches of several epochs, one after the other.

    Args:
        arrays: a tuple (x, y) or (x, y, sample_weight), each an array or a structure of arrays with equal lengths.
        batch_size: examples per step; the last batch of an epoch may be smaller, as in `fit`.
        seed: the trial's.
        first_epoch: counted from 1.
        last_epoch: included.

    Returns:
        The data set and the number of steps in an epoch.
    """
    import keras
    import tensorflow as tf

    with tf.device("CPU"):
        # As `fit` does: a list among what a data set maps to would become one tensor.
        tensors = keras.tree.lists_to_tuples(keras.tree.map_structure(tf.convert_to_tensor, arrays))
    leaves = keras.tree.flatten(tensors)
    examples = int(leaves[0].shape[0])
    steps = math.ceil(examples / batch_size)

    def permutation(epoch: Any) -> Any:
        order = tf.numpy_function(lambda e: epoch_permutation(seed, int(e), examples), [epoch], tf.int64)
        order.set_shape([examples])
        return order

    def batch(indices: Any) -> Any:
        return keras.tree.map_structure(lambda tensor: tf.gather(tensor, indices), tensors)

    epochs = tf.data.Dataset.range(first_epoch, last_epoch + 1)
    # One order ahead, so that no step waits for it.
    orders = epochs.map(permutation).prefetch(1)
    indices = orders.flat_map(lambda order: tf.data.Dataset.from_tensor_slices(order).batch(batch_size))
    batches = indices.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE), steps
