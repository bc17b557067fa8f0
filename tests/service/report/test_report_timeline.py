"""The order of a study's epochs and its best so far, on numbers small enough to check by hand."""

import math

import pytest

from bandstand.problem.objective import Objective
from bandstand.report.records.timeline import make_best_curve, ordered_measurements, ranked_from_the_best, ranked_trials


def test_epochs_are_counted_in_the_order_in_which_they_were_measured_whichever_trial_they_belong_to(make_record, run):
    record = make_record([run([5.0, 4.0]), run([3.0, 2.0])], order=[0, 1, 1, 0])
    ordered = ordered_measurements(record)
    assert list(ordered.index) == [1, 2, 3, 4]
    assert list(ordered["value"]) == [5.0, 3.0, 2.0, 4.0]


def test_best_so_far_changes_only_where_a_value_is_strictly_better(make_record, run):
    record = make_record([run([5.0, 4.0]), run([4.0, 6.0]), run([3.0])])
    assert make_best_curve(record) == ((1, 2, 5), (5.0, 4.0, 3.0), 5)


def test_best_so_far_goes_up_where_larger_is_better(make_record, make_spec, run):
    spec = make_spec(objective=Objective(metric="val_accuracy", direction="maximize"))
    record = make_record([run([0.5, 0.4]), run([0.7, 0.6])], spec=spec)
    assert make_best_curve(record)[:2] == ((1, 3), (0.5, 0.7))


@pytest.mark.parametrize("state", ["running", "paused", "pruned", "failed"])
def test_the_best_epoch_counts_whatever_became_of_its_trial(make_record, run, state):
    record = make_record([run([3.0, 2.0]), run([1.0, 4.0], state)])
    curve = make_best_curve(record)
    assert curve == ((1, 2, 3), (3.0, 2.0, 1.0), 4)
    assert curve.values[-1] == record.best.value


def test_an_epoch_whose_loss_is_not_finite_does_not_count(make_record, run):
    record = make_record([run([3.0, 2.0, 1.0], "failed", "diverged", train=[1.0, 1.0, math.nan])])
    assert make_best_curve(record).values == (3.0, 2.0)


def test_with_the_last_epoch_as_result_pruned_trials_count_where_none_is_complete(make_record, make_spec, run):
    spec = make_spec(objective=Objective(epoch="last"))
    runs = [run([1.0, 2.0], "pruned"), run([0.5], "failed", "diverged")]
    assert make_best_curve(make_record(runs, spec=spec)).values == (2.0,)
    assert make_best_curve(make_record([*runs, run([3.0])], spec=spec)).values == (3.0,)


def test_with_the_last_epoch_as_result_a_value_counts_from_the_end_of_its_trial(make_record, make_spec, run):
    record = make_record([run([1.0, 4.0]), run([2.0, 3.0])], spec=make_spec(objective=Objective(epoch="last")))
    curve = make_best_curve(record)
    assert curve == ((2, 4), (4.0, 3.0), 4)
    assert curve.values[-1] == record.best.value


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_never_best(make_record, run, bad):
    record = make_record([run([bad, 4.0]), run([3.0, bad])])
    assert make_best_curve(record)[:2] == ((2, 3), (4.0, 3.0))


def test_the_curve_can_be_asked_for_any_number_of_epochs(make_record, run):
    curve = make_best_curve(make_record([run([math.nan], "failed"), run([5.0, 5.0, 4.0])]))
    assert [curve.at(epochs) for epochs in (0, 1, 2, 3, 4, 99)] == [None, None, 5.0, 5.0, 4.0, 4.0]


def test_a_study_without_measurements_has_an_empty_curve(make_record):
    assert make_best_curve(make_record([])) == ((), (), 0)


@pytest.mark.parametrize(("direction", "ranks"), [("minimize", [3, 1, 2, 0]), ("maximize", [0, 1, 2, 3])])
def test_trials_stand_by_value_then_the_earlier_and_the_study_s_best_may_be_asked_for_in_front(
    make_record, make_spec, run, direction, ranks
):
    spec = make_spec(objective=Objective(metric="val_accuracy", direction=direction, epoch="last"))
    record = make_record([run([0.9], "pruned"), run([0.5]), run([0.5]), run([0.1], "failed")], spec=spec)
    values = {2: 0.5, 0: 0.9, 1: 0.5, 3: 0.1}
    assert ranked_trials(record, values) == ranks
    assert record.best.number == 1
    assert ranked_from_the_best(record, values) == [1, *(number for number in ranks if number != 1)]
    assert ranked_from_the_best(record, {2: 0.5, 3: 0.1}) == [number for number in ranks if number in (2, 3)]
