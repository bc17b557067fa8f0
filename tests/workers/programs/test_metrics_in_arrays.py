"""Metrics that give an array: of one number it is that number, of several it is none of what an epoch reports."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bandstand.errors import InputError
from bandstand.search.protocol import Assignment
from bandstand.search.search import Search
from bandstand.study.study_spec import StudySpec
from bandstand_workers.training.loaded_study import LoadedStudy
from tests.workers.local_link import LocalLink

CODE = """
import keras
import numpy as np


class Last(keras.metrics.Metric):
    # An array of one number of a user's own.
    def __init__(self):
        super().__init__(name="last")
        self.total = self.add_variable((1,), "zeros")

    def update_state(self, y, p, sample_weight=None):
        self.total.assign(keras.ops.reshape(keras.ops.mean(p), (1,)))

    def result(self):
        return self.total + 0.0


def load():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(90, 4)).astype("float32")
    kinds = np.digitize(x[:, 0], [-0.5, 0.5])
    y = {"one": (x[:, :1] > 0).astype("float32"), "three": np.eye(3, dtype="float32")[kinds]}
    return {name: (x[rows], {key: value[rows] for key, value in y.items()}) for name, rows in
            [("train", slice(0, 60)), ("validation", slice(60, 90))]}


def build(params):
    inputs = keras.Input((4,))
    outputs = {"one": keras.layers.Dense(1, activation="sigmoid", name="one")(inputs),
               "three": keras.layers.Dense(3, activation="softmax", name="three")(inputs)}
    model = keras.Model(inputs, outputs)
    loss = {"one": "binary_crossentropy", "three": "categorical_crossentropy"}
    metrics = {"one": [keras.metrics.F1Score(threshold=0.5), Last()], "three": [keras.metrics.F1Score(), "accuracy"]}
    model.compile("adam", loss=loss, metrics=metrics)
    return model
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "array_metrics_user.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "array_metrics_user", raising=False)
    return "array_metrics_user"


def spec_with(module: str, metric: str, **settings: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "arrays",
            "model": f"{module}:build",
            "data": f"{module}:load",
            "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
            "objective": {"metric": metric, "direction": "maximize"},
            "sampler": "random",
            "pruner": "none",
            "max_epochs": 2,
            "budget": {"trials": 1},
        }
        | settings
    )


@pytest.mark.parametrize("trainer", ["auto", "fit"])
@pytest.mark.parametrize("metric", ["val_one_f1_score", "val_one_last"])
def test_an_array_of_one_number_is_a_number(metric: str, trainer: str, module: str, tmp_path: Path) -> None:
    spec = spec_with(module, metric, trainer=trainer)
    training, search = LoadedStudy(spec), Search(spec)
    training.check()
    assignment = search.next()
    assert isinstance(assignment, Assignment)
    outcome = training.run(assignment, LocalLink(search, assignment), folder=str(tmp_path), resume_uri=None)
    assert outcome.failure is None, outcome.failure
    trial = search.history.trials[0]
    assert len(trial.values) == 2
    scores = training.evaluate(str(outcome.model_uri), trial.params, "validation")
    assert scores[metric.removeprefix("val_")] == pytest.approx(max(trial.values), abs=1e-6)
    assert "three_f1_score" not in scores
    assert "three_accuracy" in scores


def test_an_array_of_several_numbers_is_refused_as_objective(module: str) -> None:
    with pytest.raises(InputError, match=r"must be one number; 'val_three_f1_score' gives 3 numbers"):
        LoadedStudy(spec_with(module, "val_three_f1_score")).check()


def test_a_metric_that_is_nearly_there_is_told_by_its_name(module: str) -> None:
    with pytest.raises(InputError, match=r"did you mean 'val_three_accuracy'\?"):
        LoadedStudy(spec_with(module, "val_three_Acuracy")).check()
    with pytest.raises(InputError, match=r"name one of these, or add the metric in model\.compile"):
        LoadedStudy(spec_with(module, "val_recall")).check()
