"""Lineages: who stands where, the way to the best, its schedule."""

import pytest

from bandstand.report.drawing.drawing import Drawing
from bandstand.report.figures.lineages import MAX_TRIALS, draw, lineages_data


def params(rate):
    return {"learning_rate": rate, "optimizer": "adam"}


@pytest.fixture
def record(make_record, make_spec, run):
    """A population of two: member 1 gave way to a child of member 0, whose child in turn is the best."""
    spec = make_spec(sampler="pbt", pruner="", sampler_options={"population": 2, "interval": 3})
    runs = [
        run([5.0, 4.0, 3.0, 2.9, 2.8, 2.7], params=params(0.01), bracket=0),
        run([6.0, 6.0, 6.0], "pruned", "epoch 3", params=params(0.1), bracket=1),
        run([2.5, 2.4, 2.3], "pruned", "epoch 6", params=params(0.02), bracket=1, parent=0, from_epoch=3,
            origin="replaces trial 1: continues trial 0, learning_rate 0.01 to 0.02"),
        run([2.0, 1.0, 1.5], params=params(0.04), bracket=1, parent=2, from_epoch=6, origin="replaces trial 2"),
    ]  # fmt: skip
    order = [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 0, 3, 3, 3]
    return make_record(runs, spec=spec, order=order)


def test_the_way_to_the_best_ends_at_its_best_epoch_and_goes_back_to_fresh_weights(record):
    path = lineages_data(record).path
    assert [(step.trial, step.first, step.last) for step in path] == [(0, 1, 3), (2, 4, 6), (3, 7, 8)]


def test_where_cycles_begin_with_the_best_weights_the_way_leaves_a_parent_at_its_best_epoch(
    make_record, make_spec, run
):
    spec = make_spec(sampler="lr-restarts", pruner="", sampler_options={"weights": "best"})
    runs = [
        run([3.0, 2.0, 2.5], params=params(0.01)),
        run([1.5, 1.0, 1.2], params=params(0.1), parent=0, from_epoch=3),
        run([0.9], params=params(0.05), parent=1, from_epoch=6),
    ]
    path = lineages_data(make_record(runs, spec=spec)).path
    assert [(step.trial, step.first, step.last) for step in path] == [(0, 1, 2), (1, 4, 5), (2, 7, 7)]


def test_the_schedule_is_what_changed_on_the_way(record):
    schedules = {schedule.name: schedule for schedule in lineages_data(record).params_by_epoch}
    assert schedules["learning_rate"].points == tuple(
        zip(range(1, 9), [0.01] * 3 + [0.02] * 3 + [0.04] * 2, strict=True)
    )
    assert schedules["learning_rate"].log


def test_a_measured_rate_that_says_what_a_parameter_says_is_not_drawn_twice(record):
    for trial, rate in ((0, 0.01), (2, 0.02), (3, 0.04)):
        record.measurements.loc[record.measurements["trial"] == trial, "learning_rate"] = rate * (1 + 1e-7)
    assert [schedule.name for schedule in lineages_data(record).params_by_epoch] == ["learning_rate"]
    record.measurements.loc[record.measurements["trial"] == 3, "learning_rate"] = 0.005
    names = [schedule.name for schedule in lineages_data(record).params_by_epoch]
    assert names == ["learning rate, measured", "learning_rate"]


def test_members_of_a_population_follow_one_another_on_a_line(record):
    assert lineages_data(record).lines == {0: 0, 1: 1, 2: 1, 3: 1}


def test_without_a_population_a_child_takes_its_parents_line_where_that_is_free(make_record, make_spec, run):
    runs = [
        run([5.0, 4.0, 3.0], params=params(0.01)),
        run([2.9], params=params(0.01), parent=0, from_epoch=3),
        run([2.8], params=params(0.01), parent=0, from_epoch=3),
        run([9.0], params=params(0.01)),
    ]
    data = lineages_data(make_record(runs))
    assert data.lines == {0: 0, 1: 0, 2: 1}  # trial 3 has no relatives
    assert data.families == 3


def test_the_table_tells_the_steps_and_what_changed(record):
    assert draw(record).table.rows == (
        ("0", "1 to 3", "new random weights", "learning_rate 0.01, optimizer adam"),
        ("2", "4 to 6", "replaces trial 1: continues trial 0", "learning_rate 0.02"),
        ("3", "7 to 8", "replaces trial 2", "learning_rate 0.04"),
    )


def test_a_study_without_parents_says_so_and_its_report_has_no_such_section(make_synthetic):
    assert draw(make_synthetic(trials=5, max_epochs=3, prune=False)) == (
        "No trial continued from another one, so there are no lineages."
    )


def test_lineages_without_a_best_trial_are_drawn_without_a_schedule(make_record, run):
    runs = [run([float("nan")] * 3, "failed", "diverged"), run([], "running", "", parent=0, from_epoch=3)]
    drawn = draw(make_record(runs, state="running"))
    assert isinstance(drawn, Drawing)
    assert drawn.table is None


def test_many_trials_are_sampled_with_the_best_lineage_among_them(make_record, run):
    runs = [run([5.0])]
    runs += [run([5.0 - i / 1000], parent=i, from_epoch=i + 1) for i in range(2 * MAX_TRIALS)]
    record = make_record(runs)
    data = lineages_data(record)
    assert {step.trial for step in data.path} <= set(data.lines)
    broad = [run([5.0])] + [run([4.0 + i], parent=0, from_epoch=1) for i in range(2 * MAX_TRIALS)]
    data = lineages_data(make_record(broad))
    assert len(data.lines) == MAX_TRIALS
    assert {0, 1} <= set(data.lines)
    assert f"The figure shows {MAX_TRIALS} of {2 * MAX_TRIALS + 1:,} trials" in draw(make_record(broad)).caption
