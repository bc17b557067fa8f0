"""What a study costs on top of its trainings: 40 trials of 9 epochs against 40 bare `fit` calls.

The same 40 configurations, the same data, the same number of processes; both sides are timed from the moment when
every process has TensorFlow and the data. Aim: a ratio of at most 1.10.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from typing import Any

PROCESSES = 2
TRIALS = 40
EPOCHS = 9
SEED = 11


def _configurations() -> list[dict[str, Any]]:
    from search_spaces import SEARCH_SPACES
    from service.strategies.random_search import RandomSampler

    sampler = RandomSampler(SEARCH_SPACES["digits_mlp"], SEED)
    return [dict(sampler.propose(number)) for number in range(TRIALS)]


def _bare_process(configurations: list[dict[str, Any]], counter: Any, ready: Any) -> None:
    import os

    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    from workers.datasets.digits import load
    from workers.models.digits_mlp import build

    data = load()
    ready.wait()
    while True:
        with counter.get_lock():
            number = counter.value
            counter.value += 1
        if number >= len(configurations):
            return
        params = configurations[number]
        keras.utils.set_random_seed(number)
        model = build(params)
        model.fit(
            *data["train"],
            validation_data=data["validation"],
            batch_size=params["batch_size"],
            epochs=EPOCHS,
            verbose=0,
        )
        keras.backend.clear_session()


def bare_seconds() -> float:
    """40 bare `fit` calls, taken from a common counter by the processes."""
    context = multiprocessing.get_context("spawn")
    counter, ready = context.Value("i", 0), context.Barrier(PROCESSES + 1)
    arguments = (_configurations(), counter, ready)
    processes = [context.Process(target=_bare_process, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    ready.wait(timeout=300)
    began = time.monotonic()
    for process in processes:
        process.join(timeout=1800)
        assert process.exitcode == 0
    return time.monotonic() - began


def study_seconds(repeat: int) -> float:
    """The same work as a study, from its first trial's start to its last trial's end."""
    from service.run import run_study
    from service.study_file import find_study

    settings = find_study("digits_mlp").spec.model_dump(mode="json") | {
        "name": f"overhead-{repeat}",
        "sampler": "random",
        "pruner": "none",
        "pruner_options": {},
        "max_epochs": EPOCHS,
        "budget": {"trials": TRIALS},
        "seed": SEED,
    }
    record = run_study(settings, workers=PROCESSES, quiet=True).record
    assert len(record.measurements) == TRIALS * EPOCHS
    return float((record.trials["ended_at"].max() - record.attempts["started_at"].min()).total_seconds())


def main(repeats: int) -> None:
    """Print both sides and their ratio, in pairs, so that a machine that slows down slows both."""
    print(f"\noverhead: {TRIALS} trials x {EPOCHS} epochs of digits_mlp, {PROCESSES} processes, TensorFlow loaded")
    ratios = []
    for repeat in range(repeats):
        bare, study = bare_seconds(), study_seconds(repeat)
        ratios.append(study / bare)
        print(f"  bare fit {bare:6.1f} s   study {study:6.1f} s   ratio {ratios[-1]:.2f}", flush=True)
    print(f"  ratio: median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f} (aim: 1.10)")
