"""The percentile stopping rule, on an example small enough to check by hand."""

import pytest

from bandstand.strategies.pruners.percentile import _percentile_of
from bandstand.trials.events import Action, TrialState

GO, STOP = Action.CONTINUE, Action.STOP


@pytest.fixture
def desk_after_five(desk_with):
    """Five trials have completed with 0.1, 0.2, 0.3, 0.4 and 0.5 after epoch 1 (times `sign`)."""

    def make(percentile, sign=1, **changes):
        options = {"startup_trials": 5, "percentile": percentile}
        settings = {"pruner": "percentile", "pruner_options": options, "max_epochs": 2, "budget": {"trials": 100}}
        desk = desk_with(**settings | changes)
        for value in (0.3, 0.1, 0.5, 0.2, 0.4):
            desk.train([sign * value, sign * 0.05])
        assert [trial.state for trial in desk.trials] == [TrialState.COMPLETE] * 5
        return desk

    return make


@pytest.mark.parametrize(
    ("percentile", "still_goes", "stops"),
    [
        (25, 0.2, 0.201),  # the second of five
        (50, 0.3, 0.301),
        (75, 0.4, 0.401),
        (10, 0.14, 0.141),  # between the first and the second
        (99.9, 0.499, 0.5),
    ],
)
@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_the_best_so_many_percent_go_on(desk_after_five, percentile, still_goes, stops, direction, sign):
    desk = desk_after_five(percentile, sign, objective={"direction": direction})
    assert desk.train([sign * still_goes])[1] is GO
    assert desk.train([sign * stops])[1] is STOP


def test_the_default_keeps_the_best_quarter(desk_with):
    desk = desk_with(pruner="percentile", max_epochs=2, budget={"trials": 100})
    for value in (0.3, 0.1, 0.5, 0.2, 0.4):
        assert desk.train([value, value])[1] is STOP
    assert desk.train([0.2])[1] is GO
    assert desk.train([0.21])[1] is STOP


def test_the_reason_names_both_values_as_the_user_measures_them(desk_after_five):
    desk = desk_after_five(25, -1, objective={"direction": "maximize"})
    trial, _ = desk.train([-0.45])
    assert desk.trials[trial].reason == "best -0.45, percentile 25 -0.2"


def test_at_fifty_percent_it_decides_what_the_median_rule_decides(spec_with, cluster_of):
    def study(**pruner):
        history = cluster_of(spec_with(**pruner, budget={"epochs": 200}), workers=3, diverge=0.02).run().history
        return [(trial.values, trial.state, trial.reason) for trial in history.trials]

    median = study(pruner="median")
    assert study(pruner="percentile", pruner_options={"percentile": 50}) == median
    assert any(state is TrialState.PRUNED for _, state, _ in median)
    assert study(pruner="percentile", pruner_options={"percentile": 90}) != median


def test_equal_values_are_no_worse_than_one_another(desk_with):
    desk = desk_with(
        pruner="percentile", pruner_options={"percentile": 1, "startup_trials": 1}, max_epochs=2, budget={"trials": 9}
    )
    for _ in range(5):
        desk.train([0.5, 0.5])
    assert [trial.state for trial in desk.trials] == [TrialState.COMPLETE] * 5


@pytest.mark.parametrize(
    ("ascending", "percentile", "expected"),
    [([3.0], 10, 3.0), ([1.0, 2.0], 50, 1.5), ([1.0, 2.0], 25, 1.25), ([0.0, 1.0, 10.0], 75, 5.5)],
)
def test_a_percentile_lies_on_the_line_between_two_values(ascending, percentile, expected):
    assert _percentile_of(ascending, percentile) == expected
