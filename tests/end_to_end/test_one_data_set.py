"""All trainers of a study train on one data set, whatever its loader draws at random; other data are refused."""

from __future__ import annotations

import textwrap

import pytest

from bandstand.store.store import Store
from tests.end_to_end.project import Project, refused

LOADERS = """
import hashlib
import os
import random

import keras
import numpy as np
import tensorflow as tf
from sklearn.model_selection import train_test_split

HERE = os.path.dirname(__file__)


def told(data):
    # Which process loaded which data.
    digest = hashlib.sha256()
    for split in ("train", "validation"):
        digest.update(np.concatenate([np.asarray(part).ravel() for part in data[split]]).tobytes())
    with open(os.path.join(HERE, "loaded"), "a") as file:
        file.write(f"{os.getpid()} {digest.hexdigest()}\\n")
    return data


def load_drawn():
    x = np.random.default_rng(0).normal(size=(300, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    names = {"setosa", "versicolor", "virginica", "pumila", "cristata"}
    x[:, 1] = [list(names).index("setosa")] * 300
    x[:, 2] += np.random.normal(size=300)
    rows = random.sample(range(300), 280)
    x, x_test, y, y_test = train_test_split(x[rows], y[rows], test_size=40)
    left, right = keras.utils.split_dataset((x, y), left_size=0.75, shuffle=True)
    train, validation = (tuple(map(np.stack, zip(*part.as_numpy_iterator()))) for part in (left, right))
    return told({"train": train, "validation": validation, "test": (x_test, y_test)})


def load_from_entropy():
    data = load_drawn()
    x, y = data["validation"]
    return told(data | {"validation": (x + np.random.default_rng().normal(size=x.shape), y)})


def build(params):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(params["units"], activation="relu")])
    model.add(keras.layers.Dense(2, activation="softmax"))
    model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""
STUDY = {
    "model": "loaders:build",
    "callbacks": ["project:slow_journal"],
    "space": {"units": {"type": "int", "low": 4, "high": 40}},
    "pruner": "none",
}


def loaded_data(project: Project) -> dict[str, str]:
    """By process, the data that it loaded last."""
    return dict(line.split() for line in (project.folder / "loaded").read_text().splitlines())


def test_trainers_have_one_data_set_though_the_loader_splits_and_draws_without_seeds(project: Project) -> None:
    (project.folder / "loaders.py").write_text(textwrap.dedent(LOADERS))
    study = project.write_study(name="drawn", data="loaders:load_drawn", budget={"epochs": 60}, **STUDY)
    done = project.command("run", str(study), "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = loaded_data(project)
    assert len(loaded) >= 2
    assert len(set(loaded.values())) == 1, loaded


@pytest.mark.slow
def test_a_trainer_with_other_data_is_refused_in_one_line_until_the_user_says_that_they_may_differ(
    project: Project, store: Store
) -> None:
    (project.folder / "loaders.py").write_text(textwrap.dedent(LOADERS))
    study = project.write_study(name="other", data="loaders:load_from_entropy", budget={"epochs": 60}, **STUDY)
    line = refused(project, "run", str(study), "--workers", "2")
    assert line.startswith("data must be the same for every trainer of a study; split validation differs from that of")
    assert "without a seed" in line
    assert line.endswith("go on with --data-may-differ")
    record = store.record("other")
    assert (record.state, record.reason) == ("stopped", line)
    assert refused(project, "run", str(study), "--workers", "1") == line  # compared before it trains
    done = project.command("run", str(study), "--workers", "1", "--data-may-differ")
    assert done.returncode == 0, done.stdout + done.stderr
    said = "the trials did not all have the same data: split validation"
    assert said in done.stdout
    for form in ("report.html", "report.md", "report.json"):
        assert project.command("report", "other", "-o", form).returncode == 0
        assert said in (project.folder / form).read_text()
