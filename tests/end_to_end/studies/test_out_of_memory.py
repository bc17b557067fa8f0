"""Whole studies whose models are too large for `resources.memory_gb`: such a trial ends with its size, others go on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bandstand.running.live_display import NoDisplay
from bandstand.running.messages import StudyOutcome
from bandstand.running.run import RunOptions, run_studies
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from tests.end_to_end.harness.project import Project

pytestmark = pytest.mark.slow

LIMIT_GB = 1.6
CODE = """
import mmap
import os
import signal
import time

import keras
import numpy as np
import psutil

from project import build as build_small
from project import load


def build_wide(params):
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(params["units"]), keras.layers.Dense(params["units"]),
         keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss=loss, metrics=["accuracy"])
    return model


class Takes(keras.callbacks.Callback):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def on_epoch_begin(self, epoch, logs=None):
        if self.how == "numpy":
            np.ones(10**9)
        elif self.how == "python":
            b"x" * 10**10
        elif self.how == "raises":
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB (GPU 0; 10.76 GiB total capacity)")
        elif self.how == "killed":
            self.taken = []
            while psutil.Process().memory_info().rss < 1.53e9:
                self.taken.append(np.ones(2_000_000))
            time.sleep(1.5)  # the kernel kills what is large, not what is about to be
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "shared":
            self.taken = mmap.mmap(-1, 3 * 10**9)
            for at in range(0, 3 * 10**9, 4096):
                self.taken[at] = 1
            time.sleep(60)


def take(params):
    return Takes(params["how"])
"""
COMMON: dict[str, Any] = {"sampler": "grid", "budget": {}, "pruner": "none", "max_epochs": 1}
HOW = ["nothing", "numpy", "python", "raises", "killed", "shared"]
STUDIES: dict[str, dict[str, Any]] = {
    "memory-wide": COMMON
    | {"model": "hungry:build_wide", "space": {"units": {"type": "categorical", "choices": [8, 12_000, 30_000]}}},
    "memory-ways": COMMON
    | {"callbacks": ["hungry:take"], "model": "hungry:build_of_ways"}
    | {"space": {"how": {"type": "categorical", "choices": HOW}}},
}


@pytest.fixture(scope="module")
def outcomes(home: Path, store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, StudyOutcome]:
    """The outcome of every study, all run one after the other by one process of workers."""
    project = Project(tmp_path_factory.mktemp("memory"))
    ways = "\n\ndef build_of_ways(params):\n    return build_small({'units': 8, 'rate': 0.01})\n"
    (project.folder / "hungry.py").write_text(CODE + ways)
    resources = {"memory_gb": LIMIT_GB}
    specs = [
        StudySpec.model_validate(project.settings(name=name, resources=resources, **changes))
        for name, changes in STUDIES.items()
    ]
    return run_studies(store, specs, RunOptions(workers=2, code_path=[str(project.folder)]), NoDisplay())


def test_models_too_large_end_with_what_was_asked_for_and_their_parameters_and_once(
    store: Store, outcomes: dict[str, StudyOutcome]
) -> None:
    assert outcomes["memory-wide"].state == "finished"
    trials = store.record("memory-wide").trials
    small = trials[trials["params_units"] == 8]
    assert set(small["state"]) == {"complete"}
    assert set(trials["attempts"]) == {1}, "none is begun again, and none is charged for another"
    assert len(trials) == 3, "a grid does not try again what is too large"
    large = trials[trials["params_units"] > 8].set_index("params_units")
    assert set(large["state"]) == {"failed"}
    assert set(large["reason"]) == {"out_of_memory"}
    for units, asked in ((12_000, ".*"), (30_000, re.escape("3.6 GB"))):
        parameters = 64 * units + units * units + 2 * units + 10 * units + 10
        said = rf"out of memory: {asked} were asked for beyond 1\.6 GB \(resources\.memory_gb\); "
        assert re.match(said + f"the model has {parameters:,} parameters, batch 32", large.loc[units, "message"])


def test_memory_that_ends_in_any_way_is_told_as_such_and_the_study_goes_on(
    store: Store, outcomes: dict[str, StudyOutcome]
) -> None:
    assert outcomes["memory-ways"].state == "finished"
    trials = store.record("memory-ways").trials
    assert set(trials[trials["params_how"] == "nothing"]["state"]) == {"complete"}
    failed = trials[trials["params_how"] != "nothing"].set_index("params_how")
    assert dict(failed["reason"]) == dict.fromkeys(HOW[1:], "out_of_memory")
    messages = dict(failed["message"])
    assert messages["numpy"].startswith("out of memory: 8 GB were asked for beyond 1.6 GB"), messages
    assert messages["python"].startswith("out of memory: more was asked for beyond 1.6 GB (resources.memory_gb)")
    assert messages["raises"].startswith("out of memory: 21.5 GB were asked for on the GPU"), messages
    for how in ("killed", "shared"):
        assert re.match(r"out of memory: its process had [\d.]+ GB of 1\.6 GB \(resources\.memory_gb\)", messages[how])
    assert all("the model has 610 parameters, batch 32" in message for message in messages.values())
