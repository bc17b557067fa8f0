"""Processes that take trainings from a common counter: what contenders without a scheduler of their own run in."""

from __future__ import annotations

import multiprocessing
import os
import queue
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.benchmarks.contenders import Trained
from tests.benchmarks.measuring.workloads import Workload

__all__ = ["Train", "make_value_log", "set_up_process", "train_in_processes"]

_READY_SECONDS = 300
_TRAINING_SECONDS = 3600

Train = Callable[[int, Mapping[str, Any]], list[float]]
"""Trains configuration number `n` with `params`; returns the metric's value after each epoch."""


def set_up_process(processes: int) -> None:
    """Share the processors among `processes` and import TensorFlow; a GPU is nobody's.

    Everything is set as Bandstand sets it for its own trainers, so that the difference is in the tuners.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    import tensorflow as tf

    threads = max(1, (os.cpu_count() or 1) // processes)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def make_value_log(metric: str) -> Any:
    """A Keras callback whose `values` are the metric's after each epoch, also where another callback raises."""
    import keras

    class ValueLog(keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.values: list[float] = []

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.values.append(float(logs[metric]))

    return ValueLog()


def train_in_processes(workload: Workload, make_train: Callable[..., Train], *settings: Any) -> Trained:
    """All trainings of a workload, each in the next process that is free.

    Args:
        workload: what to train.
        make_train: `make_train(workload, data, *settings)`, called once in each process before the clock starts; a
            function at the top of a module.
        settings: handed on to it.

    Raises:
        RuntimeError: a process died.
    """
    context = multiprocessing.get_context("spawn")
    counter, ready = context.Value("i", 0), context.Barrier(workload.processes + 1)
    reports = context.Queue()
    arguments = (workload, make_train, settings, counter, ready, reports)
    processes = [context.Process(target=_train_from_counter, args=arguments) for _ in range(workload.processes)]
    try:
        for process in processes:
            process.start()
        ready.wait(timeout=_READY_SECONDS)
        began = time.monotonic()
        ended = [_next_report(reports, processes) for _ in processes]
    finally:
        for process in processes:
            process.join(timeout=10)
            process.kill()
    return Trained(
        seconds=max(at for at, _ in ended) - began,
        trainings=sum(len(trainings) for _, trainings in ended),
        epochs=sum(len(values) for _, trainings in ended for values in trainings),
        best_value=workload.best([value for _, trainings in ended for values in trainings for value in values]),
    )


def _train_from_counter(
    workload: Workload, make_train: Callable[..., Train], settings: Any, counter: Any, ready: Any, reports: Any
) -> None:
    set_up_process(workload.processes)
    configurations = workload.configurations
    train = make_train(workload, workload.load_data(), *settings)
    trainings: list[list[float]] = []
    ready.wait(timeout=_READY_SECONDS)
    while True:
        with counter.get_lock():
            number = counter.value
            counter.value += 1
        if number >= len(configurations):
            break
        trainings.append(train(number, configurations[number]))
    # The monotonic clock is the system's: comparable between processes.
    reports.put((time.monotonic(), trainings))


def _next_report(reports: Any, processes: list[Any]) -> tuple[float, list[list[float]]]:
    deadline = time.monotonic() + _TRAINING_SECONDS
    while time.monotonic() < deadline:
        try:
            return reports.get(timeout=1)  # type: ignore[no-any-return]
        except queue.Empty:
            if any(process.exitcode for process in processes):
                raise RuntimeError("a process that trained has died") from None
    raise RuntimeError(f"the trainings were not done within {_TRAINING_SECONDS} s")
