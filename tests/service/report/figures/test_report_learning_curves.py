"""Learning curves: which lines there are, in which order, and what is said instead of an empty plot."""

import dataclasses
import math

from bandstand.report.figures.learning_curves import MAX_CURVES, draw, learning_curves_data, learning_curves_figure


def test_there_is_a_curve_for_each_trial_with_the_best_first(make_record, run):
    record = make_record([run([5.0, 4.0]), run([3.0, 2.0]), run([1.0], "pruned", "rung 1")], order=[0, 1, 2, 1, 0])
    data = learning_curves_data(record)
    assert [(curve.trial, curve.state, curve.epochs, curve.values) for curve in data.curves] == [
        (2, "pruned", (1,), (1.0,)),
        (1, "complete", (1, 2), (3.0, 2.0)),
        (0, "complete", (1, 2), (5.0, 4.0)),
    ]
    assert data.best_trial == 2


def test_the_best_trial_is_drawn_last_and_thickest(make_record, run):
    figure = draw(make_record([run([5.0, 4.0]), run([3.0, 2.0])])).figure
    assert figure.data[-1].name == "best trial (1)"
    assert figure.data[-1].line.width > max(trace.line.width for trace in figure.data[:-1])


def test_a_pruned_trial_is_marked_where_it_ended(make_record, run):
    figure = draw(make_record([run([5.0, 4.0, 3.0]), run([6.0, 5.5], "pruned", "rung 2")])).figure
    marks = [trace for trace in figure.data if trace.mode == "markers"]
    assert [(mark.x, mark.y, mark.marker.symbol) for mark in marks] == [((2,), (5.5,), "triangle-down")]


def test_an_epoch_without_a_finite_value_is_a_gap_and_the_cross_stands_before_it(make_record, run):
    record = make_record([run([5.0, 4.0, 3.0]), run([6.0, 5.0, math.nan], "failed", "diverged")])
    figure = draw(record).figure
    lines = next(trace for trace in figure.data if trace.name == "failed" and "lines" in trace.mode)
    cross = next(trace for trace in figure.data if trace.marker.symbol == "x")
    assert lines.y == (6.0, 5.0, None, None)
    assert cross.x == (2,)


def test_trials_of_one_epoch_are_a_sentence_instead_of_a_figure(make_record, run):
    sentence = "No trial has trained more than one epoch yet, so there are no curves."
    assert draw(make_record([run([5.0]), run([4.0])])) == sentence


def test_no_measurement_is_a_sentence_instead_of_a_figure(make_record, run):
    sentence = "No epoch has a finite val_loss yet, so there are no curves."
    assert draw(make_record([])) == sentence
    assert draw(make_record([run([math.nan, math.nan], "failed", "diverged")])) == sentence


def test_a_large_study_is_sampled_with_its_best_trials_in_it_and_says_so(make_synthetic):
    record = make_synthetic(trials=MAX_CURVES * 3, max_epochs=4, prune=False, failures=False)
    data = learning_curves_data(record)
    best = record.trials.sort_values("value")["number"].head(MAX_CURVES // 4)
    assert len(data.curves) == MAX_CURVES
    assert set(best) <= {curve.trial for curve in data.curves}
    assert f"The figure shows {MAX_CURVES} of {MAX_CURVES * 3} trials" in draw(record).caption


def test_each_line_says_how_its_curves_are_diagnosed(make_record, run):
    falling = [1 - 0.1 * epoch for epoch in range(9)]
    turning = [*falling[:4], 0.75, 0.85, 0.95, 1.05, 1.15]
    record = make_record([run(falling), run(turning)])
    record = dataclasses.replace(record, measurements=record.measurements.assign(loss=[*falling, *falling]))
    data = learning_curves_data(record)
    assert {curve.trial: curve.diagnosis for curve in data.curves}[1] == "overfit"
    texts = [text for trace in learning_curves_figure(data).data for text in trace.text or ()]
    assert any(text.startswith("trial 1 (complete, overfit): ") for text in texts)
    assert any(text.startswith("best trial 0 (complete, ") for text in texts)
