"""KerasTuner: one process with all threads, as it is mostly run. GridSearch over the space, or Hyperband for halving.

Its distributed mode needs a chief process that does not end by itself, and is left out. Hyperband decides by itself how
many configurations and epochs one iteration takes, so that only time per epoch compares.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from typing import Any

from bandstand_spaces import Categorical, Float, Int, Parameter
from tests.benchmarks.contenders import Trained
from tests.benchmarks.contenders.processes import make_value_log, set_up_process
from tests.benchmarks.measuring.workloads import Workload


def run(workload: Workload) -> Trained:
    """All trainings."""
    set_up_process(processes=1)
    import keras_tuner

    data = workload.load_data()
    logs: list[Any] = []

    class TunedModel(keras_tuner.HyperModel):  # type: ignore[misc]
        def build(self, hp: Any) -> Any:
            return workload.build_model(_params(hp, workload.space.parameters))

        def fit(self, hp: Any, model: Any, *args: Any, callbacks: Any = (), **kwargs: Any) -> Any:
            # Added here because the tuner copies the callbacks that it is given.
            logs.append(make_value_log(workload.metric))
            batch_size = workload.batch_size_for(hp.values)
            return model.fit(*args, batch_size=batch_size, callbacks=[*callbacks, logs[-1]], **kwargs)

    with tempfile.TemporaryDirectory(prefix="bandstand-bench-kerastuner-") as folder:
        tuner = _make_tuner(workload, TunedModel(), folder)
        began = time.monotonic()
        tuner.search(*data["train"], validation_data=data["validation"], verbose=0, **_epochs(workload))
        seconds = time.monotonic() - began
    return Trained(
        seconds=seconds,
        trainings=len(logs),
        epochs=sum(len(log.values) for log in logs),
        best_value=workload.best([value for log in logs for value in log.values]),
    )


def _make_tuner(workload: Workload, model: Any, folder: str) -> Any:
    import keras_tuner

    direction = {"maximize": "max", "minimize": "min"}[workload.direction]
    settings = {
        "objective": keras_tuner.Objective(workload.metric, direction),
        "directory": folder,
        "project_name": "benchmark",
        "overwrite": True,
        "seed": workload.seed,
    }
    if workload.halving:
        return keras_tuner.Hyperband(model, max_epochs=workload.epochs, factor=3, **settings)
    return keras_tuner.GridSearch(model, max_trials=None, **settings)


def _epochs(workload: Workload) -> dict[str, int]:
    return {} if workload.halving else {"epochs": workload.epochs}  # Hyperband sets its own


def _params(hp: Any, parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Params as KerasTuner draws them; a branch's only where its choice was made."""
    params: dict[str, Any] = {}
    for name, parameter in parameters.items():
        params[name] = _draw(hp, name, parameter)
        for choice, branch in parameter.branches.items() if isinstance(parameter, Categorical) else ():
            with hp.conditional_scope(name, [choice]):
                drawn = _params(hp, branch)
            if params[name] == choice:
                params |= drawn
    return params


def _draw(hp: Any, name: str, parameter: Parameter) -> Any:
    match parameter:
        case Categorical(choices=choices):
            return hp.Choice(name, list(choices))
        case Int(low=low, high=high, log=True):
            return hp.Int(name, low, high, sampling="log")
        case Int(low=low, high=high, step=step):
            return hp.Int(name, low, high, step=step)
        case Float(low=low, high=high, step=step, log=log):
            return hp.Float(name, low, high, step=step, sampling="log" if log else "linear")
