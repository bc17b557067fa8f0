"""Checkpoints and models on local paths and behind fsspec URLs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from workers import checkpoints
from workers.checkpoints import BestWeights, Checkpoint
from workers.model_files import local_copy, save_model


def make_checkpoint(epoch: int = 3) -> Checkpoint:
    best = BestWeights(loss=0.5, epoch=2, weights=[np.ones((2, 3), "float32")])
    return Checkpoint(
        epoch=epoch, variables=[np.arange(4.0)], optimizer=[np.array(7)], callbacks=[{"wait": 1}], best=best
    )


@pytest.fixture(params=["path", "file URL", "memory URL"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {"path": f"{tmp_path}/a/b", "file URL": f"file://{tmp_path}/a/b", "memory URL": "memory://bandstand/a"}[
        request.param
    ]


def test_a_checkpoint_comes_back_and_can_be_deleted(folder: str) -> None:
    uri = f"{folder}/epoch-0003.checkpoint"
    checkpoints.save(make_checkpoint(), uri)
    back = checkpoints.load(uri)
    assert (back.epoch, back.callbacks, back.best.epoch) == (3, [{"wait": 1}], 2)
    np.testing.assert_array_equal(back.variables[0], np.arange(4.0))
    checkpoints.delete(uri)
    with pytest.raises(FileNotFoundError):
        checkpoints.load(uri)
    checkpoints.delete(uri)  # a second time does no harm


def test_an_unfinished_write_leaves_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = str(tmp_path / "x.checkpoint")
    checkpoints.save(make_checkpoint(1), uri)

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        checkpoints.save(make_checkpoint(2), uri)
    assert checkpoints.load(uri).epoch == 1


def test_a_saved_model_has_the_best_weights_wherever_it_is_kept(folder: str) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    best = BestWeights(loss=0.1, epoch=1, weights=[np.full((2, 3), 2.0), np.zeros(3)])
    uri = save_model(model, best, f"{folder}/model-attempt-1")
    assert uri == f"{folder}/model-attempt-1.keras"
    with local_copy(uri) as path:
        loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded.get_weights()[0], best.weights[0])


class Unwritable(keras.layers.Layer):
    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError("no config")

    def call(self, x: Any) -> Any:
        return x


def test_where_the_architecture_cannot_be_written_the_weights_are(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), Unwritable(), keras.layers.Dense(3)])
    best = BestWeights(loss=0.1, epoch=1, weights=[np.full((2, 3), 2.0), np.zeros(3)])
    uri = save_model(model, best, str(tmp_path / "model"))
    assert uri.endswith(".weights.h5")
    model.set_weights([np.zeros((2, 3)), np.zeros(3)])
    model.load_weights(uri)
    np.testing.assert_array_equal(model.get_weights()[0], best.weights[0])
