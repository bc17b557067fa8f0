"""A study's results are those of one code: changed code is told before anything is shown or trained."""

from __future__ import annotations

import random

import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.processes import epochs_of, kill_one, let_it_train
from tests.end_to_end.harness.project import Project, refused

MODEL = """
import keras

UNITS = 8


def build(params):
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(UNITS), keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(params["rate"]), loss=loss, metrics=["accuracy"])
    return model
"""
STUDY = {"model": "nets:build", "space": {"rate": {"type": "float", "low": 0.01, "high": 0.3}}, "pruner": "none"}


def write_model(project: Project, units: int) -> None:
    (project.folder / "nets.py").write_text(MODEL.replace("UNITS = 8", f"UNITS = {units}"))


def test_a_study_whose_code_has_changed_is_neither_shown_nor_continued_without_a_word(
    project: Project, store: Store
) -> None:
    write_model(project, 8)
    study = project.write_study(name="changed", budget={"epochs": 6}, **STUDY)
    assert project.command("run", str(study), "--workers", "1").returncode == 0
    write_model(project, 9)
    line = refused(project, "run", str(study))
    said = "code must stay the same while a study is trained; nets.py: UNITS changed since study 'changed' was trained"
    assert line.startswith(said)
    assert refused(project, "replay", "changed").startswith(said)
    shown = project.command("run", str(study), "--code-may-differ")
    assert (shown.returncode, epochs_of(store, "changed")) == (0, 6)
    write_model(project, 8)
    assert project.command("run", str(study)).returncode == 0


@pytest.mark.slow
def test_a_file_that_is_edited_during_a_run_stops_the_study_when_a_new_trainer_imports_it(
    project: Project, store: Store
) -> None:
    write_model(project, 8)
    study = project.write_study(name="edited", budget={"epochs": 4000}, callbacks=["project:slow_journal"], **STUDY)
    rng = random.Random(0)
    run = project.start("run", str(study), "--workers", "1")
    try:
        let_it_train(run, store, "edited", 3, rng)
        write_model(project, 9)
        kill_one(run, "Trainer", rng)
        out, _ = run.communicate(timeout=300)
    finally:
        run.kill()
    assert run.returncode == 2, out
    assert "nets.py: UNITS changed since this run of the study began" in out
    assert store.record("edited").state == "stopped"
