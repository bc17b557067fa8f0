"""The live table and its numbers."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from bandstand.running.live_display import PlainDisplay
from bandstand.running.progress_table import budget_used, params_text, progress_view
from bandstand.search.search import Search
from bandstand.store.records import RunningTrial, StudyProgress
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from bandstand.trials.best import BestTrial
from tests.service.store.written_study import flush, make_spec, train


def make_progress(budget: dict[str, Any], **changes: Any) -> StudyProgress:
    spec = StudySpec.model_validate(
        {
            "name": "shown",
            "model": "a:b",
            "data": "a:c",
            "space": "digits_mlp",
            "max_epochs": 9,
            "budget": budget,
            "objective": {"metric": "val_accuracy", "direction": "maximize"},
        }
    )
    params = {"layers": 2, "units": 128, "dropout": 0.123456, "optimizer": "adam", "beta_1": 0.9}
    settings = {
        "spec": spec,
        "budget": spec.budget,
        "state": "running",
        "reason": "",
        "counts": {"running": 1, "complete": 4, "pruned": 5, "failed": 1},
        "spent_trials": 10,
        "epochs": 60,
        "wall_seconds": 30.0,
        "gpu_seconds": 1800.0,
        "best": BestTrial(number=3, params=params, value=0.97, epoch=7, epochs=9, state="complete", model_path=None),
        "running": [RunningTrial(number=10, params=params, epochs=2, granted=3, bracket=0, value=0.91)],
        "rungs": {3: 11, 9: 4},
        "notices": ["the budget is small"],
        "events": 99,
    }
    return StudyProgress(**(settings | changes))


def text_of(progress: StudyProgress, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(progress_view(progress, seconds=65, seconds_left=130))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("budget", "used"),
    [
        ({"epochs": 120}, 0.5),
        ({"trials": 40}, 0.25),
        ({"wall_seconds": 40}, 0.75),
        ({"epochs": 600, "wall_seconds": 60}, 0.5),
        ({"epochs": 30}, 1.0),
    ],
)
def test_the_budget_used_is_that_of_the_nearest_limit(budget: dict[str, Any], used: float) -> None:
    assert budget_used(make_progress(budget)) == pytest.approx(used)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_shows_budget_counts_best_rungs_and_running_trials_at_any_width(width: int) -> None:
    text = text_of(make_progress({"epochs": 120}), width)
    for part in (
        "60 of 120 epochs",
        "1 min 05 s",
        "about 2 min 10 s left",
        "1 running, 4 done, 5 pruned, 1 failed",
        "best     val_accuracy 0.9700, higher is better (trial 3:",
        "epoch 3: 11   epoch 9: 4",
        "note: the budget is small",
        "umda + asha",
    ):
        assert part in text, part
    row = next(line for line in text.splitlines() if line.split()[:1] == ["10"])
    assert row.split()[:3] == ["10", "2/9", "0.9100"]
    assert all(len(line) <= width for line in text.splitlines())


def test_inactive_params_are_left_out() -> None:
    assert params_text({"a": 0.123456, "b": None, "c": float("nan"), "d": "x", "e": False}) == "a 0.123, d x, e False"


def test_a_trial_that_ends_before_the_first_look_is_told_of_and_one_of_an_earlier_run_is_not(store: Store) -> None:
    spec, fresh = make_spec(), make_spec()
    train(store, spec, 2)
    stream = io.StringIO()
    display = PlainDisplay(store, stream)
    display.starting([spec, fresh])
    for each in (spec, fresh):
        train(store, each, 1)
        display.running(each.name, 1)
        display.ended(each.name)
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if "continuing" in line] == [f"{spec.name}: continuing after 2 trials, 8 epochs"]
    told = [line.partition(" after")[0] for line in lines if ": trial " in line]
    assert told == [f"{spec.name}: trial 2 pruned", f"{fresh.name}: trial 0 complete"]


def test_lines_for_programs_say_which_study_and_which_trial(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANDSTAND_LOG_FORMAT", "json")
    spec, stream = make_spec(), io.StringIO()
    display = PlainDisplay(store, stream)
    display.starting([spec])
    train(store, spec, 2)
    display.running(spec.name, 1)
    display.note(spec.name, "it waits for resources")
    display.ended(spec.name)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {line["study"] for line in lines} == {spec.name}
    assert not [line for line in lines if spec.name in line["message"]]
    assert {line["trial"]: line["message"].split()[1] for line in lines if "trial" in line} == {0: "0", 1: "1"}
    assert "it waits for resources" in [line["message"] for line in lines]


def test_what_is_noticed_on_the_way_is_told_in_the_run_that_met_it_and_once(store: Store) -> None:
    spec = make_spec()
    stream = io.StringIO()
    display = PlainDisplay(store, stream)
    for run in range(2):
        display.starting([spec])
        train(store, spec, 1)
        display.running(spec.name, 1)
        display.tick()
        writer = store.claim(spec, "a test")
        try:
            search = Search.restore(writer.spec, writer.events())
            search.note("a checkpoint was damaged")
            search.note(f"seen in run {run}")
            flush(search, writer)
        finally:
            writer.close()
        display.ended(spec.name)
    notes = [line.partition("note: ")[2] for line in stream.getvalue().splitlines() if "note: " in line]
    assert notes == ["a checkpoint was damaged", "seen in run 0", "seen in run 1"]
