"""Checkpoints and models on local paths and behind fsspec URLs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from bandstand import stored_files
from bandstand_workers.training import checkpoints
from bandstand_workers.training.checkpoint_keeper import CheckpointKeeper
from bandstand_workers.training.checkpoints import BestWeights, CallbackState, Checkpoint, CheckpointError
from bandstand_workers.training.trial_models.model_files import local_copy, save_model


def make_checkpoint(epoch: int = 3) -> Checkpoint:
    best = BestWeights(loss=0.5, epoch=min(epoch, 2), weights=[np.ones((2, 3), "float32")])
    state = CallbackState(name="EarlyStopping", changes={"wait": {"value": 1, "arrays": 0}}, arrays=[])
    return Checkpoint(epoch=epoch, variables=[np.arange(4.0)], optimizer=[np.array(7)], callbacks=[state], best=best)


@pytest.fixture(params=["path", "file URL", "memory URL"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return {"path": f"{tmp_path}/a/b", "file URL": f"file://{tmp_path}/a/b", "memory URL": "memory://bandstand/a"}[
        request.param
    ]


def test_a_checkpoint_comes_back_and_can_be_deleted(folder: str) -> None:
    uri = f"{folder}/epoch-0003.checkpoint"
    stored_files.write(checkpoints.encode(make_checkpoint(), uri), uri)
    back = checkpoints.decode(stored_files.read(uri), uri)
    assert (back.epoch, back.callbacks, back.best.epoch) == (3, make_checkpoint().callbacks, 2)
    np.testing.assert_array_equal(back.variables[0], np.arange(4.0))
    stored_files.delete(uri)
    with pytest.raises(FileNotFoundError):
        stored_files.read(uri)
    stored_files.delete(uri)  # a second time does no harm


def test_an_unfinished_write_leaves_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = str(tmp_path / "x.checkpoint")
    stored_files.write(checkpoints.encode(make_checkpoint(1), uri), uri)

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        stored_files.write(checkpoints.encode(make_checkpoint(2), uri), uri)
    assert checkpoints.decode(stored_files.read(uri), uri).epoch == 1


def test_a_checkpoint_is_told_of_when_it_is_durable_and_loaded_from_memory(tmp_path: Path) -> None:
    keeper = CheckpointKeeper()
    uri = str(tmp_path / "a" / "1.checkpoint")
    told: list[tuple[str | None, bool]] = []
    keeper.save(make_checkpoint(1), uri, lambda error: told.append((error, Path(uri).exists())))
    keeper.wait()
    assert told == [(None, True)]
    Path(uri).unlink()
    assert keeper.load(uri).epoch == 1
    np.testing.assert_array_equal(keeper.load(uri).variables[0], np.arange(4.0))
    with pytest.raises(CheckpointError, match=r"must be there; .*1\.checkpoint is missing"):
        CheckpointKeeper().load(uri)


def test_memory_for_checkpoints_is_bounded_and_the_latest_are_kept(tmp_path: Path) -> None:
    size = make_checkpoint().size_bytes
    keeper = CheckpointKeeper(memory_bytes=3 * size)
    uris = [str(tmp_path / f"{number}.checkpoint") for number in range(5)]
    for number, uri in enumerate(uris):
        keeper.save(make_checkpoint(number), uri, lambda error: None)
    keeper.wait()
    for uri in uris:
        Path(uri).unlink()
    for uri in uris[:2]:
        with pytest.raises(CheckpointError):
            keeper.load(uri)
    assert [keeper.load(uri).epoch for uri in uris[2:]] == [2, 3, 4]


def test_a_checkpoint_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    keeper = CheckpointKeeper()
    keeper.save(make_checkpoint(), str(tmp_path / "file" / "1.checkpoint"), told.append)
    keeper.wait()
    assert len(told) == 1
    assert told[0].startswith(("NotADirectoryError", "FileExistsError"))


def test_a_saved_model_has_the_weights_given_wherever_it_is_kept(folder: str) -> None:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    weights = [np.full((2, 3), 2.0), np.zeros(3)]
    uri, obstacle = save_model(model, weights, f"{folder}/model-attempt-1")
    assert (uri, obstacle) == (f"{folder}/model-attempt-1.keras", None)
    with local_copy(uri) as path:
        loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded.get_weights()[0], weights[0])


class Unwritable(keras.layers.Layer):
    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError("no config")

    def call(self, x: Any) -> Any:
        return x


def test_where_the_architecture_cannot_be_written_the_weights_are(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((2,)), Unwritable(), keras.layers.Dense(3)])
    weights = [np.full((2, 3), 2.0), np.zeros(3)]
    uri, obstacle = save_model(model, weights, str(tmp_path / "model"))
    assert uri.endswith(".weights.h5")
    assert obstacle is not None and "no config" in obstacle
    model.set_weights([np.zeros((2, 3)), np.zeros(3)])
    model.load_weights(uri)
    np.testing.assert_array_equal(model.get_weights()[0], weights[0])
