"""Optimization history: where its markers stand, and what it says when there are none."""

import math

from bandstand.problem.objective import Objective
from bandstand.report.figures.history import MAX_POINTS, draw, history_data


def test_a_trial_stands_where_the_study_was_when_the_trial_ended(make_record, run):
    record = make_record(
        [
            run([5.0, 4.0]),
            run([6.0], "pruned", "rung 1: place 2 of 2, 1 may go on"),
            run([math.nan], "failed", "diverged"),
        ],
        order=[0, 1, 2, 0],
    )
    data = history_data(record)
    assert [(point.trial, point.state, point.spent, point.value) for point in data.points] == [
        (1, "pruned", 2, 6.0),
        (2, "failed", 3, None),
        (0, "complete", 4, 4.0),
    ]
    assert data.best_trial == 0


def test_a_trial_that_never_finished_an_epoch_is_placed_by_the_clock(make_record, run):
    record = make_record([run([5.0, 4.0]), run([], "failed", "out_of_memory"), run([3.0])])
    assert [(point.trial, point.spent) for point in history_data(record).points] == [(0, 2), (1, 2), (2, 3)]


def test_running_trials_are_not_in_the_history(make_record, run):
    record = make_record([run([5.0]), run([4.0]), run([1.0], "running", "")], state="running")
    assert [point.trial for point in history_data(record).points] == [0, 1]


def test_trials_without_a_value_get_a_strip_of_their_own_and_a_sentence(make_record, run):
    drawing = draw(make_record([run([5.0]), run([4.0]), run([math.inf], "failed", "diverged")]))
    assert [trace.name for trace in drawing.figure.data if trace.yaxis == "y2"] == ["failed"]
    assert "The figure draws 1 trial without a finite value at the bottom." in drawing.caption


def test_a_huge_loss_is_drawn_at_the_edge_and_said(make_record, run):
    record = make_record([*[run([1.0 + number / 10]) for number in range(12)], run([1e9])])
    drawing = draw(record)
    highest = max(max(trace.y) for trace in drawing.figure.data)
    assert highest < 10
    assert "The figure draws 1 value beyond the axis at its edge." in drawing.caption


def test_a_pruned_value_better_than_a_best_that_is_a_last_epoch_is_explained(make_record, make_spec, run):
    spec, sentence = make_spec(objective=Objective(epoch="last")), "so only a completed trial can be the best"
    assert sentence in draw(make_record([run([1.0], "pruned"), run([2.0])], spec=spec)).caption
    assert sentence not in draw(make_record([run([3.0], "pruned"), run([2.0])], spec=spec)).caption
    assert sentence not in draw(make_record([run([1.0], "pruned"), run([2.0])])).caption


def test_the_star_is_on_the_best_trial_even_if_it_was_pruned(make_record, run):
    figure = draw(make_record([run([2.0]), run([1.0], "pruned")])).figure
    star = next(trace for trace in figure.data if trace.name == "best trial (1)")
    assert star.y == (1.0,)


def test_one_ended_trial_is_a_sentence_instead_of_a_figure(make_record, run):
    record = make_record([run([5.0]), run([4.0], "running", "")], state="running")
    assert draw(record) == "A history needs two ended trials. So far one trial has ended, and 1 are under way."
    assert draw(make_record([])) == "A history needs two ended trials. So far no trial has ended, and 0 are under way."


def test_trials_that_all_failed_are_a_sentence_instead_of_a_figure(make_record, run):
    sentence = draw(make_record([run([math.nan], "failed", "diverged")] * 3, state="failed"))
    assert sentence == "No trial has a value: 3 trials ended without a finite val_loss."


def test_a_large_study_is_sampled_with_the_best_trial_in_it_and_says_so(make_synthetic):
    record = make_synthetic(trials=MAX_POINTS + 500, max_epochs=3, prune=True)
    data = history_data(record)
    assert len(data.points) <= MAX_POINTS + 1
    assert record.best.number in {point.trial for point in data.points}
    assert f"of {MAX_POINTS + 500:,} ended trials, evenly sampled in order" in draw(record).caption
