"""Training and validation: which trial is shown, what all trials are counted as, what is said where nothing can be."""

import math

import numpy as np

from bandstand.report.curves import curve_pairs
from bandstand.report.curves.curve_pairs import metric_names, read_pairs
from bandstand.report.curves.diagnosis import Kind
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.figures import learning_curves, train_validation
from bandstand.report.figures.train_validation import draw, train_validation_data

FALL = (2.3 * np.exp(-0.5 * np.arange(16))).tolist()
OVERFIT = [value + 0.1 * max(0, index - 5) for index, value in enumerate(FALL)]


def test_the_objective_names_both_metrics():
    assert metric_names("val_accuracy") == ("accuracy", "val_accuracy")
    assert metric_names("loss") == ("loss", "val_loss")


def test_every_trial_is_diagnosed_and_the_best_is_shown(make_record, run):
    runs = [
        run(OVERFIT, train=FALL),
        run(FALL, train=FALL),
        run(FALL[:2], "pruned", "rung 2", train=FALL[:2]),
        run([2.0, math.nan], "failed", "diverged", train=[2.0, math.nan]),
        run(FALL[:9], "running", "", train=FALL[:9]),
    ]
    data = train_validation_data(make_record(runs))
    assert data.pair.trial == 1
    assert data.is_best
    assert dict(data.counts) == {Kind.OVERFIT: (0,), Kind.WELL_FIT: (1,), Kind.NOT_CLEAR: (2,), Kind.DIVERGED: (3,)}


def test_the_caption_gives_the_label_the_reason_and_the_rules_and_the_table_what_helps(make_record, run):
    drawn = draw(make_record([run(OVERFIT, train=FALL)]))
    assert "Diagnosis of trial 0 (the best): overfit from epoch" in drawn.caption
    assert "while training kept improving" in drawn.caption
    assert [row[:3] for row in drawn.table.rows] == [("overfit", "1", "0")]
    assert len(drawn.figure.layout.shapes) == 1


def test_without_a_best_trial_the_longest_is_shown(make_record, run):
    runs = [run([math.nan], "failed", "diverged"), run([math.nan] * 3, "failed", "diverged")]
    data = train_validation_data(make_record(runs))
    assert data.pair.trial == 1
    assert not data.is_best
    assert "Diagnosis of trial 1 (the longest): diverged." in draw(make_record(runs)).caption


def test_a_study_without_the_training_metric_says_so(make_record, run):
    complete = make_record([run(FALL)])
    record = make_record([run(FALL)], measurements=complete.measurements.drop(columns="loss"))
    assert draw(record) == "The logs contain val_loss but not loss, so the fit cannot be diagnosed."


def test_running_trials_and_trials_without_an_epoch_are_not_diagnosed(make_record, run):
    record = make_record([run(FALL, "running", ""), run([], "failed", "exception")])
    assert draw(record) == "No ended trial has logged val_loss, so there is nothing to diagnose."


def test_a_child_of_another_trial_is_judged_by_the_curves_of_its_lineage(make_record, run):
    runs = [run(FALL[:8], "pruned", "epoch 8"), run(FALL[8:], parent=0, from_epoch=8, train=FALL[8:])]
    pairs = read_pairs(make_record(runs))
    assert pairs[1].epochs == tuple(range(1, 17))
    assert pairs[1].validation == tuple(FALL)
    assert pairs[1].diagnosis.kind == Kind.WELL_FIT


def test_of_many_trials_a_sample_is_diagnosed_with_the_best_among_them_and_the_caption_says_so(
    make_record, run, monkeypatch
):
    for module in (curve_pairs, train_validation):
        monkeypatch.setattr(module, "MAX_TRIALS", 5)
    better = [value / 2 for value in FALL]
    record = make_record([run(better if number == 7 else FALL, train=FALL) for number in range(20)])
    assert list(read_pairs(record)) == [0, 5, 7, 10, 14, 19]
    caption = draw(record).caption
    assert "The table counts 6 ended trials by the same rules. These are an even sample of 20." in caption


def test_of_few_trials_all_are_diagnosed_and_nothing_is_said_of_a_sample(make_record, run):
    assert "sample" not in draw(make_record([run(FALL, train=FALL) for _ in range(20)])).caption


def test_the_two_figures_of_curves_diagnose_each_trial_once(make_record, run, monkeypatch):
    judged = []
    known = curve_pairs.diagnose
    monkeypatch.setattr(curve_pairs, "diagnose", lambda *given, **more: judged.append(1) or known(*given, **more))
    record = make_record([run(FALL, train=FALL) for _ in range(6)])
    draw(record)
    learning_curves.draw(record)
    assert len(judged) == 6


def test_a_metric_to_maximize_is_diagnosed_by_its_own_names(make_record, make_spec, run):
    from bandstand.problem.objective import Objective

    spec = make_spec(objective=Objective(metric="val_accuracy", direction="maximize"))
    rising = [1 - value / 2.5 for value in FALL]
    drawn = draw(make_record([run(rising, train=rising)], spec=spec))
    assert isinstance(drawn, Drawing)
    assert "(the best): well fit." in drawn.caption
