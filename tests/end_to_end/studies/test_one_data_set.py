"""All trainers of a study train on one data set, whatever its loader draws at random; other data are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.project import Project, refused
from tests.end_to_end.harness.ray_nodes import RayNodes

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
HASHES = """
import json
import os

from bandstand.study.study_spec import Resources
from bandstand_workers.fleet.ray_connection import connect_ray, protect_local_ray

protect_local_ray()
import ray

connect_ray(Resources(), 2)


@ray.remote(num_cpus=1)
class Process:
    def tell(self):
        return os.getpid(), hash("setosa"), os.environ["PYTHONHASHSEED"]


processes = [Process.remote() for _ in range(2)]
print(json.dumps(ray.get([process.tell.remote() for process in processes])))
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
    assert line.startswith("data must be the same for all trainers of a study; split validation differs from the")
    assert "without a seed" in line
    assert line.endswith("or accept the difference (--data-may-differ; in Python data_may_differ=True)")
    record = store.record("other")
    assert (record.state, record.reason) == ("stopped", line)
    assert refused(project, "run", str(study), "--workers", "1") == line  # compared before it trains
    done = project.command("run", str(study), "--workers", "1", "--data-may-differ")
    assert done.returncode == 0, done.stdout + done.stderr
    said = "the trials did not all have the same data: split validation differs"
    assert said in done.stdout
    for form in ("report.html", "report.md", "report.json"):
        assert project.command("report", "other", "-o", form).returncode == 0
        assert said in (project.folder / form).read_text()


def hashes(**environment: str) -> list[Any]:
    """Process, hash of a text and PYTHONHASHSEED of two of Ray's processes, as runs of studies start Ray."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    told = subprocess.run(
        [sys.executable, "-c", HASHES], env=kept | environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert told.returncode == 0, told.stderr
    return list(json.loads(told.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_texts_have_the_same_hash_in_all_processes_of_a_local_ray(home: Any) -> None:
    first, second = hashes()
    assert first[0] != second[0]
    assert first[1:] == second[1:]
    assert first[2] == "0"


@pytest.mark.slow
def test_texts_have_the_same_hash_in_all_processes_on_a_cluster_and_the_users_seed_wins(home: Any) -> None:
    with RayNodes() as nodes:
        nodes.add(cpus=2)
        cluster = nodes.settings | {"RAY_ADDRESS": nodes.address}
        first, second = hashes(**cluster)
        assert first[1:] == second[1:]
        assert first[2] == "0"
        seeded = hashes(**cluster, PYTHONHASHSEED="7")
        assert [told[2] for told in seeded] == ["7", "7"]
        assert seeded[0][1] == seeded[1][1] != first[1]
