"""A study that may run for longer than anybody waits is told before it starts."""

from __future__ import annotations

from typing import Any

import pytest

from bandstand.problem.directions import near_metric
from bandstand.study.cost_notes import cost_notes
from bandstand.study.study_spec import StudySpec, study_spec_from

WIDE = {"units": {"type": "int", "low": 1, "high": 100_000}}


def spec(**changes: Any) -> StudySpec:
    settings = {"name": "x", "model": "a:build", "data": "a:load", "max_epochs": 9, "space": WIDE}
    return study_spec_from(settings | {"budget": {"epochs": 500}} | changes, "study")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"budget": {"epochs": 10**12}}, "allows 1,000,000,000,000 epochs, which take 32 years"),
        ({"budget": {"trials": 10**12}}, "allows 9,000,000,000,000 epochs, which take 285 years"),
        ({"budget": {"trials": 50}, "max_epochs": 10**12}, "which take 1,585 years"),
        ({"sampler": "grid", "budget": {}}, "the grid's 100,000 points are all trained, for up to 900,000 epochs"),
    ],
)
def test_a_study_that_may_run_for_years_is_told(changes: dict[str, Any], told: str) -> None:
    (note,) = cost_notes(spec(**changes))
    assert told in note
    assert "wall_seconds" in note, "a way out"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"budget": {"epochs": 10**12, "wall_seconds": 60}},
        {"budget": {"epochs": 10**12, "trials": 20}},
        {"sampler": "grid", "budget": {"trials": 20}},
        {"sampler": "grid", "budget": {}, "space": {"units": {"type": "int", "low": 1, "high": 20}}},
    ],
)
def test_a_study_that_something_ends_is_not_remarked_upon(changes: dict[str, Any]) -> None:
    assert cost_notes(spec(**changes)) == []


@pytest.mark.parametrize(
    ("metric", "near"),
    [
        ("val_acuracy", "val_accuracy"),
        ("val_mea", "val_mae"),
        ("acurracy", "accuracy"),
        ("val_los", "val_loss"),
        ("val_precison", "val_precision"),
        ("my_score", None),
        ("val_accuracy", None),
    ],
)
def test_a_misspelt_metric_is_named_before_a_direction_is_asked_for(metric: str, near: str | None) -> None:
    assert near_metric(metric) == near
    if near is not None:
        with pytest.raises(ValueError, match=f"did you mean metric = '{near}'"):
            spec(objective={"metric": metric})
