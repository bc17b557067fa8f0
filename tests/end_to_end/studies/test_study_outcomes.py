"""Whole studies on real PostgreSQL, Ray and Keras: what fails ends or retries its trial, and the study goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bandstand import run_study
from bandstand.errors import StudyFailedError
from bandstand.running.live_display import NoDisplay
from bandstand.running.messages import StudyOutcome
from bandstand.running.run import RunOptions, run_studies
from bandstand.store.records import StudyRecord
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from tests.end_to_end.harness.project import Project, refused

pytestmark = pytest.mark.slow

GRID = {
    "units": {"type": "categorical", "choices": [8, 16, 32]},
    "rate": {"type": "categorical", "choices": [0.01, 0.03]},
}
STUDIES: dict[str, dict[str, Any]] = {
    "outcome-plain": {"budget": {"epochs": 17}},
    "outcome-nan": {"budget": {"trials": 8}, "pruner": "none", "callbacks": ["project:nan_in_small_models"]},
    "outcome-unstorable": {"budget": {"trials": 8}, "pruner": "none"}
    | {"callbacks": ["project:unstorable_in_small_models"]},
    "outcome-raises": {"budget": {"trials": 8}, "pruner": "none", "model": "project:build_that_sometimes_raises"},
    "outcome-grid": {"sampler": "grid", "budget": {}, "space": GRID, "max_epochs": 1, "pruner": "none"}
    | {"model": "project:build_that_sometimes_raises"},
    "outcome-broken": {"budget": {"trials": 30}, "callbacks": ["project:raises_in_training"]},
    "outcome-keras-tuner": {"budget": {"trials": 2}, "max_epochs": 1, "model": "project:build_for_keras_tuner"},
    "outcome-wall": {"budget": {"wall_seconds": 5}, "max_epochs": 100_000, "pruner": "none"},
    # Less than any trainer needs, so that each is replaced after its first trial.
    "outcome-memory": {"budget": {"trials": 2}, "pruner": "none", "max_epochs": 1, "resources": {"memory_gb": 0.2}},
    "outcome-dies": {"budget": {"trials": 6}, "pruner": "none", "max_attempts": 2}
    | {"callbacks": ["project:dies_in_small_models"]},
}


@pytest.fixture(scope="module")
def outcomes(home: Path, store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[str, StudyOutcome]:
    """The outcome of every study, all run one after the other by one process of workers."""
    project = Project(tmp_path_factory.mktemp("outcomes"))
    specs = [StudySpec.model_validate(project.settings(name=name, **changes)) for name, changes in STUDIES.items()]
    return run_studies(store, specs, RunOptions(workers=2, code_path=[str(project.folder)]), NoDisplay())


@pytest.fixture
def record(store: Store, outcomes: dict[str, StudyOutcome]) -> Any:
    return store.record


def ended(record: StudyRecord, state: str) -> pd.DataFrame:
    return record.trials[record.trials["state"] == state]


def test_all_but_the_broken_study_finish(outcomes: dict[str, StudyOutcome]) -> None:
    states = {name: outcome.state for name, outcome in outcomes.items()}
    assert states == dict.fromkeys(STUDIES, "finished") | {"outcome-broken": "failed"}


def test_the_epochs_recorded_are_the_budget(record: Any) -> None:
    plain = record("outcome-plain")
    assert len(plain.measurements) == 17
    assert set(plain.measurements.columns) >= {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert (plain.measurements["seconds"] > 0).all()


def test_the_best_model_is_kept_alone_and_tested_once(record: Any, home: Path) -> None:
    plain = record("outcome-plain")
    model = Path(plain.best.model_path)
    assert model.is_relative_to(home / "checkpoints")
    assert [path for path in model.parents[1].rglob("*") if path.is_file()] == [model]
    assert set(plain.test_metrics) == {"loss", "accuracy"}


def test_the_best_model_gives_the_value_that_is_reported(record: Any) -> None:
    import keras
    from sklearn.datasets import load_digits

    plain = record("outcome-plain")
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype("float32")
    model = keras.models.load_model(plain.best.model_path)
    accuracy = float(np.mean(model.predict(x[600:900], verbose=0).argmax(axis=1) == y[600:900]))
    assert accuracy == pytest.approx(plain.best.value, abs=1e-6)


def test_nan_ends_a_trial_with_its_reason_and_not_the_study(record: Any) -> None:
    nan = record("outcome-nan")
    small = nan.trials[nan.trials["params_units"] < 12]
    assert 0 < len(small) < len(nan.trials)
    assert set(small["state"]) == {"failed"}
    assert set(small["reason"]) == {"diverged"}
    assert set(small["epochs"]) == {2}
    assert set(nan.trials.drop(small.index)["state"]) == {"complete"}
    diverged = nan.measurements[nan.measurements["trial"].isin(small["number"]) & (nan.measurements["epoch"] == 2)]
    assert diverged["loss"].isna().all()


def test_an_exception_in_the_builder_ends_its_trial_with_the_message(record: Any) -> None:
    raises = record("outcome-raises")
    small = raises.trials["params_units"] < 12
    assert 0 < small.sum() < len(raises.trials)
    (message,) = set(raises.trials[small]["message"])
    assert re.fullmatch(r"RuntimeError: too few units \(project\.py:\d+\)", message)
    assert set(raises.trials[~small]["state"]) == {"complete"}


def test_a_grid_visits_each_point_once_and_failed_ones_once_more(record: Any) -> None:
    grid = record("outcome-grid")
    visits = grid.trials.groupby(["params_units", "params_rate"]).size()
    assert {point: visits[point] for point in visits.index} == {
        (8, 0.01): 2, (8, 0.03): 2, (16, 0.01): 1, (16, 0.03): 1, (32, 0.01): 1, (32, 0.03): 1,
    }  # fmt: skip


def test_a_training_that_always_raises_stops_the_study_early(outcomes: dict[str, StudyOutcome], record: Any) -> None:
    reason = outcomes["outcome-broken"].reason
    # While another one is under way, a few more failures are waited for.
    said = r"each of its first [3-9] trials failed the same way: RuntimeError: no such layer \(project\.py:\d+\)"
    assert re.fullmatch(said, reason)
    assert len(record("outcome-broken").trials) < 12


def test_a_keras_tuner_builder_trains_and_what_the_space_lacks_is_said_once(record: Any) -> None:
    study = record("outcome-keras-tuner")
    assert set(study.trials["state"]) == {"complete"}
    assert [notice for notice in study.notices if "default" in notice] == [
        "the builder uses its default unsampled = True, because the space does not contain it",
        "the builder uses its default activation = 'relu', because the space does not contain it",
    ]


def test_no_epoch_is_trained_after_the_wall_time_is_over(record: Any) -> None:
    wall = record("outcome-wall")
    assert set(wall.trials["reason"]) == {"budget"}
    assert wall.best.value > 0.5
    # By the trainers' own clocks: how long a busy machine takes to store what they report is another matter.
    trained = wall.measurements.groupby("trial")["seconds"]
    assert (trained.sum() <= 5 + trained.max()).all()
    assert trained.sum().max() > 2.5, "most of the time should have been used"


def test_a_trainer_that_has_grown_is_replaced_and_it_is_said(record: Any) -> None:
    memory = record("outcome-memory")
    assert set(memory.trials["state"]) == {"complete"}
    assert any(notice.startswith("a trainer was replaced between two trials: it used") for notice in memory.notices)


def test_a_trial_that_kills_its_worker_is_begun_again_and_then_given_up(record: Any) -> None:
    dies = record("outcome-dies")
    small = dies.trials[dies.trials["params_units"] < 12]
    assert 0 < len(small) < len(dies.trials)
    assert set(small["state"]) == {"failed"}
    assert set(small["attempts"]) == {2}
    assert set(small["reason"]) == {"worker_died"}
    assert set(dies.trials.drop(small.index)["state"]) == {"complete"}


def test_run_study_in_python_repeats_exactly_with_one_worker(project: Project) -> None:
    results = [
        run_study(
            project.settings(name=name, sampler="tpe", budget={"epochs": 24}, seed=5),
            workers=1,
            code_path=[project.folder],
            quiet=True,
        )
        for name in ("exact-1", "exact-2")
    ]
    first, second = results
    assert first.state == "finished"
    assert first.best_params == second.best_params
    assert Path(first.best_model_path or "").exists()
    columns = ["number", "state", "reason", "value", "epochs", "params_units", "params_rate"]
    pd.testing.assert_frame_equal(first.trials[columns], second.trials[columns])
    logs = ["trial", "epoch", "loss", "val_accuracy"]
    pd.testing.assert_frame_equal(first.record.measurements[logs], second.record.measurements[logs])


def test_run_study_raises_where_every_trial_fails_and_goes_on_when_mended(project: Project) -> None:
    settings = project.settings(name="mended", callbacks=["project:raises_in_training"], budget={"trials": 6})
    with pytest.raises(StudyFailedError, match="no such layer"):
        run_study(settings, workers=1, code_path=[project.folder], quiet=True)
    code = project.folder / "project.py"
    code.write_text(code.read_text().replace('raise RuntimeError("no such layer")', "pass"))
    file = project.write_study(**settings)
    done = project.command("run", str(file), "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "best val_accuracy" in done.stdout


def test_a_builder_that_raises_for_all_params_is_refused_with_its_line(project: Project, store: Store) -> None:
    file = project.write_study(name="always-raises", model="project:build_that_raises", budget={"trials": 6})
    line = refused(project, "run", str(file), "--workers", "1")
    said = r"'project:build_that_raises' raised RuntimeError: no such layer \(project\.py:\d+\) for each of 12"
    assert re.search(said, line)
    assert "always-raises" not in {study.name for study in store.studies()}


def test_a_metric_whose_name_cannot_be_stored_fails_its_trial_and_the_study_goes_on(
    record: Any, outcomes: dict[str, StudyOutcome]
) -> None:
    assert outcomes["outcome-unstorable"].state == "finished"
    failed = ended(record("outcome-unstorable"), "failed")
    assert len(failed) > 0
    assert all("contains a NUL character: rename the metric" in message for message in failed["message"])
    assert len(ended(record("outcome-unstorable"), "complete")) == 8 - len(failed)
