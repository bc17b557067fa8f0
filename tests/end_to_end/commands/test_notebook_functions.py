"""Functions that were typed into a notebook train on real workers, which have nothing but the archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from bandstand.running.run import run_study
from bandstand.store.store import Store
from bandstand.submissions import CodeArchive
from tests.service.client.notebooks import IMPORTS, pack_cells, run_cells

CELL = """
import keras
import numpy as np

SEED = 3


class Scale(keras.layers.Layer):
    def call(self, x):
        return x * 0.5


class StopWhenPerfect(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = logs["loss"] == 0


def build(params):
    model = keras.Sequential([keras.Input((4,)), Scale(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(params["rate"]), loss="mse")
    return model


def load():
    draw = np.random.default_rng(SEED)
    splits = {}
    for name in ("train", "validation", "test"):
        x = draw.normal(size=(64, 4)).astype("float32")
        splits[name] = (x, x.sum(axis=1, keepdims=True))
    return splits


def stop_when_perfect():
    return StopWhenPerfect()


spec = spec_of(build, load, callbacks=(stop_when_perfect,))
packed = pack_study(spec)
"""


@pytest.mark.slow
def test_workers_train_functions_of_a_notebook(tmp_path: Path, home: Path) -> None:
    packed = pack_cells([CELL], tmp_path)
    folder = tmp_path / "job"
    folder.mkdir()
    CodeArchive(bytes.fromhex(packed["code"])).unpack(folder)
    settings = {key: packed[key] for key in ("model", "data", "callbacks")} | {
        "name": "typed-in-a-notebook",
        "space": {"rate": {"type": "float", "low": 0.01, "high": 0.3}},
        "max_epochs": 3,
        "budget": {"epochs": 9},
    }
    result = run_study(settings, workers=1, code_path=[folder], quiet=True)
    assert result.state == "finished"
    assert result.best_value < 4
    assert result.trials["epochs"].sum() == 9
    assert set(result.trials["state"]) <= {"complete", "pruned"}


LOCAL = """
import functools
from bandstand import run_study

def scaled(params, context, factor):
    assert context.data.x_shape == (4,)
    model = build(params)
    return model

def log(context):
    return keras.callbacks.CSVLogger("{folder}/log.csv")

spec = spec_of(functools.partial(scaled, factor=FACTOR), lambda: load(), callbacks=(stop_when_perfect, log))
result = run_study(spec, workers=1, quiet=True)
print("model", result.record.spec.model)
print("state", result.state, int(result.trials["epochs"].sum()))
"""


@pytest.mark.slow
def test_functions_of_a_session_train_on_this_machine_and_are_known_again(
    tmp_path: Path, home: Path, store: Store
) -> None:
    cells = [IMPORTS, CELL.replace("packed = pack_study(spec)", ""), LOCAL.replace("FACTOR", "3")]
    first, again = run_cells(cells, tmp_path), run_cells(cells, tmp_path)
    assert "state finished 9" in first.stdout, first.stdout + first.stderr
    assert again.stdout == first.stdout, "the same functions are the same study, which has nothing left to do"
    model = store.record("from-a-notebook").spec.model
    assert model.startswith("bandstand_notebook_")
    kept = home / "functions" / f"{model.partition(':')[0]}.pkl"
    assert kept.stat().st_mode & 0o077 == 0, "others may not read it"
    assert store.database.url.encode() not in kept.read_bytes()
    other = run_cells([*cells[:2], LOCAL.replace("FACTOR", "4")], tmp_path)
    assert "'from-a-notebook' exists with other settings (model: " in other.stderr
