"""No tuner and no `fit`: one hand-written `tf.function` per model runs a whole epoch. About the least that Keras takes.

The data are tensors, the batches are gathered from them, each step is the model's own `train_step`, and validation is
the same loop over `test_step`. Every model is traced anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tests.benchmarks.contenders import Trained
from tests.benchmarks.contenders.processes import Train, train_in_processes
from tests.benchmarks.measuring.workloads import Workload


def run(workload: Workload) -> Trained:
    """All trainings."""
    return train_in_processes(workload, make_train)


def make_train(workload: Workload, data: Mapping[str, Any]) -> Train:
    """A training is two traced functions, each called once an epoch."""
    import keras
    import tensorflow as tf

    from bandstand_workers.internals.keras_parts import build_symbolically

    examples, validation = (tuple(tf.constant(array) for array in data[part]) for part in ("train", "validation"))

    def train(number: int, params: Mapping[str, Any]) -> list[float]:
        keras.utils.set_random_seed(number)
        model = workload.build_model(params)
        batch_size = workload.batch_size_for(params)
        # As `fit` does before its first step: variables cannot be made inside a loop that is being traced.
        build_symbolically(model, tuple(tensor[:batch_size] for tensor in examples))
        train_epoch = epoch_loop(model.train_step, examples, batch_size, shuffle=True)
        validate = epoch_loop(model.test_step, validation, batch_size, shuffle=False)
        values = []
        for _ in range(workload.epochs):
            model.reset_metrics()
            train_epoch()
            logs = {name: float(value) for name, value in model.get_metrics_result().items()}
            model.reset_metrics()
            validate()
            logs |= {f"val_{name}": float(value) for name, value in model.get_metrics_result().items()}
            values.append(logs[workload.metric])
        return values

    return train


def epoch_loop(step: Callable[..., Any], data: tuple[Any, ...], batch_size: int, *, shuffle: bool) -> Any:
    """A `tf.function` that takes a step on each batch of the data, which are tensors."""
    import tensorflow as tf

    step = tf.autograph.experimental.do_not_convert(step)
    examples = int(data[0].shape[0])
    steps = math.ceil(examples / batch_size)

    @tf.function
    def run_epoch() -> None:
        order = tf.random.shuffle(tf.range(examples)) if shuffle else tf.range(examples)
        for index in tf.range(steps):
            chosen = order[index * batch_size : (index + 1) * batch_size]
            step(tuple(tf.gather(tensor, chosen) for tensor in data))

    return run_epoch
