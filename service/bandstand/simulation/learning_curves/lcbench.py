"""Learning curves of LCBench, by a surrogate in ONNX: validation accuracy and duration of each of 52 epochs.

Knows the surrogate's files. Must not know searches or time.

LCBench (Zimmer, Lindauer and Hutter, Auto-PyTorch Tabular, TPAMI 2021) trained 2,000 multilayer perceptrons on each of
35 tabular tasks; the surrogate answers for any params between, in the format of YAHPO Gym (Pfisterer et al., AutoML
2022). It needs onnxruntime, which is imported when the first curve is asked for.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bandstand.errors import InputError
from bandstand.problem.objective import Objective
from bandstand.simulation.learning_curves.curves import RecordedCurve, Setting
from bandstand.simulation.learning_curves.sources import choose, data_files
from bandstand_spaces import Float, Int, Parameter, SearchSpace

__all__ = ["LCBenchSource", "make_source"]

EPOCHS = 52
_METRIC = "val_accuracy"
# The order of the columns is that in which the surrogate was trained; the epoch goes before them.
_COLUMNS = ("batch_size", "learning_rate", "momentum", "weight_decay", "num_layers", "max_units", "max_dropout")
_KEPT = 50_000
_LEAST_SECONDS = 1e-3
"""Of an epoch, as a share of the whole training: predicted times are not always ascending."""


class LCBenchSource:
    """One task of LCBench, as source and as curves: there is one problem, whatever the seed."""

    def __init__(self, task: str, folder: Path):
        """Reads the space and the tasks; not yet the surrogate."""
        space = json.loads((folder / "config_space.json").read_text())["hyperparameters"]
        parameters = {entry["name"]: entry for entry in space}
        self.task = choose("lcbench", task, parameters["OpenML_task_id"]["choices"])
        self.name = f"lcbench:{task}"
        self.setting: Setting | None = Setting(
            space=SearchSpace({name: _parameter_from(parameters[name]) for name in _COLUMNS}),
            objective=Objective(metric=_METRIC, direction="maximize"),
            max_epochs=EPOCHS,
        )
        self._code = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"][task]
        self._model = folder / "model.onnx"
        self._curves: OrderedDict[tuple[float, ...], RecordedCurve] = OrderedDict()

    def curves(self, space: SearchSpace, objective: Objective, max_epochs: int, seed: int) -> LCBenchSource:
        """As `CurveSource.curves`."""
        return self

    def open(self, params: Mapping[str, Any], seed: int) -> RecordedCurve:
        """As `Curves.open`; the same params are the same curve, since the surrogate is a mean over trainings."""
        key = tuple(float(params[name]) for name in _COLUMNS)
        if key not in self._curves:
            accuracy, seconds = self.predict([params])
            self._curves[key] = RecordedCurve(_METRIC, accuracy[0].tolist(), seconds[0].tolist())
            if len(self._curves) > _KEPT:
                self._curves.popitem(last=False)
        return self._curves[key]

    def predict(self, many: list[Mapping[str, Any]]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Validation accuracy (0 to 1) and seconds of each epoch: two arrays, a row for each of `many`."""
        found = self.answers(many)
        elapsed, accuracy = found[:, :, 0], found[:, :, 1] / 100.0
        least = _LEAST_SECONDS * np.maximum(elapsed[:, -1:], 1.0)
        return accuracy, np.maximum(np.diff(elapsed, axis=1, prepend=0.0), least)

    def answers(self, many: list[Mapping[str, Any]]) -> np.ndarray[Any, Any]:
        """All that the surrogate says, (settings, epochs, 6).

        Seconds since the beginning; accuracy, cross-entropy and balanced accuracy on validation data; the latter two on
        test data. Accuracy is in percent, balanced accuracies are shares.
        """
        points = np.array([[params[name] for name in _COLUMNS] for params in many], dtype=np.float32)
        epochs = np.tile(np.arange(1, EPOCHS + 1, dtype=np.float32), len(points))[:, None]
        inputs = {
            "x_cat": np.full((len(epochs), 1), self._code, dtype=np.int32),
            "x_cont": np.concatenate([epochs, np.repeat(points, EPOCHS, axis=0)], axis=1),
        }
        found: np.ndarray[Any, Any] = self._session.run(None, inputs)[0].reshape(len(points), EPOCHS, -1)
        return found.astype(float)

    def pool(self, size: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """As `PoolSource.pool`: random params."""
        assert self.setting is not None
        rng = np.random.default_rng(seed)
        accuracy, seconds = self.predict([self.setting.space.sample(rng) for _ in range(size)])
        return -accuracy, seconds

    @cached_property
    def _session(self) -> Any:
        try:
            import onnxruntime
        except ImportError:
            raise InputError(
                "curves lcbench need the package onnxruntime, which is not installed: pip install onnxruntime"
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # tiny products: threads cost more than they do
        return onnxruntime.InferenceSession(str(self._model), options, providers=["CPUExecutionProvider"])


def _parameter_from(entry: Mapping[str, Any]) -> Parameter:
    kind = Int if entry["type"] == "uniform_int" else Float
    return kind(entry["lower"], entry["upper"], log=entry["log"])


def make_source(name: str, epoch_seconds: float) -> LCBenchSource:
    """The task `name`; durations are the surrogate's.

    Raises:
        InputError: there is no such task, or its files are not there.
    """
    return LCBenchSource(name, data_files("lcbench"))
