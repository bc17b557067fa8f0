"""Comparisons of studies written by hand."""

import pytest

from bandstand.comparison.results import make_results
from bandstand.problem.budget import Budget
from bandstand.problem.objective import Objective
from bandstand.study.comparison_plan import make_plan
from bandstand.study.study_spec import StudySpec
from bandstand_spaces import Float, Int, SearchSpace
from tests.service.report.conftest import Run, record_of

SPACE = SearchSpace({"learning_rate": Float(1e-4, 1e-1, log=True), "units": Int(16, 256, step=16)})


def spec_of(**changes):
    settings = {
        "name": "digits", "model": "train:build", "data": "train:load", "space": SPACE, "max_epochs": 4,
        "budget": Budget(epochs=16), "seed": 7, "objective": Objective(metric="val_accuracy", direction="maximize"),
    }  # fmt: skip
    return StudySpec(**(settings | changes))


def plan_of(strategies, repeats, name="cmp", **changes):
    return make_plan(name, spec_of(**changes), strategies, repeats)


def results_of(arms, *, test=True, states=None, **changes):
    """Results in which repeat r of each arm has one trial with the validation curve `arms[label][r]`, or two.

    Args:
        arms: label -> for each repeat the values after each epoch; None for a repeat that was not begun.
        test: whether test values are there: .01 below the best validation value.
        states: (label, repeat) -> state, finished where left out.
    """
    repeats = max(len(curves) for curves in arms.values())
    plan = plan_of([label for label in arms if label not in ("random", "grid")], repeats, **changes)
    sign = plan.spec.objective.sign
    records = {}
    for planned in plan.studies():
        curves = arms.get(planned.arm, [])
        if planned.repeat >= len(curves) or curves[planned.repeat] is None:
            continue
        curve = curves[planned.repeat]
        state = (states or {}).get((planned.arm, planned.repeat), "finished")
        trial = Run(curve, params={"learning_rate": 0.01, "units": 32})
        if state == "failed":
            trial = trial._replace(state="failed", reason="diverged")
        record = record_of([trial], spec=planned.spec, state=state)
        if test and record.best is not None:
            record = record_of(
                [trial], spec=planned.spec, state=state, test_metrics={"accuracy": record.best.value + sign * 0.01}
            )
        records[planned.spec.name] = record
    return make_results(plan, records)


@pytest.fixture
def make_results_of():
    return results_of


@pytest.fixture
def make_plan_of():
    return plan_of
