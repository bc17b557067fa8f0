"""Optuna: processes that share a study in PostgreSQL, each epoch reported by Optuna's Keras callback.

The server is an embedded one, like Bandstand's. Fixed configurations are enqueued one at a time, just before they are
asked for, because every trial that waits makes each call of Optuna's slower.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from tests.benchmarks.contenders import Trained
from tests.benchmarks.contenders.processes import Train, make_value_log, train_in_processes
from tests.benchmarks.measuring.workloads import Workload

_STUDY = "benchmark"


def run(workload: Workload) -> Trained:
    """All trainings."""
    import optuna

    from bandstand.store.embedded import embedded_url

    url = embedded_url().replace("postgresql://", "postgresql+psycopg://", 1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.create_study(storage=url, study_name=_STUDY, direction=workload.direction)
    return train_in_processes(workload, make_train, url)


def make_train(workload: Workload, data: Mapping[str, Any], url: str) -> Train:
    """A training is one trial: ask, fit with the callback, tell."""
    import keras
    import optuna
    from optuna_integration import KerasPruningCallback

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(
        storage=url, study_name=_STUDY, sampler=optuna.samplers.RandomSampler(), pruner=_make_pruner(workload)
    )

    def train(number: int, params: Mapping[str, Any]) -> list[float]:
        if not workload.halving:  # there the draws are Optuna's own
            study.enqueue_trial(dict(params))
        trial = study.ask()
        drawn = workload.space.suggest(trial)
        keras.utils.set_random_seed(number)
        model = workload.build_model(drawn)
        log = make_value_log(workload.metric)
        with contextlib.suppress(optuna.TrialPruned):
            model.fit(
                *data["train"],
                validation_data=data["validation"],
                batch_size=workload.batch_size_for(drawn),
                epochs=workload.epochs,
                callbacks=[log, KerasPruningCallback(trial, workload.metric)],
                verbose=0,
            )
        if len(log.values) < workload.epochs:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, workload.best(log.values))
        return list(log.values)

    return train


def _make_pruner(workload: Workload) -> Any:
    from optuna.pruners import NopPruner, SuccessiveHalvingPruner

    return SuccessiveHalvingPruner(min_resource=1, reduction_factor=3) if workload.halving else NopPruner()
