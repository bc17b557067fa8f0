"""No tuner: bare `model.fit` in a few processes. What a tuner does besides costs time; this is where it starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.benchmarks.contenders import Trained
from tests.benchmarks.contenders.processes import Train, train_in_processes
from tests.benchmarks.measuring.workloads import Workload


def run(workload: Workload) -> Trained:
    """All trainings."""
    return train_in_processes(workload, make_train)


def make_train(workload: Workload, data: Mapping[str, Any]) -> Train:
    """A training is one call of `fit`."""
    import keras

    def train(number: int, params: Mapping[str, Any]) -> list[float]:
        keras.utils.set_random_seed(number)
        model = workload.build_model(params)
        history = model.fit(
            *data["train"],
            validation_data=data["validation"],
            batch_size=workload.batch_size_for(params),
            epochs=workload.epochs,
            verbose=0,
        ).history
        return [float(value) for value in history[workload.metric]]

    return train
