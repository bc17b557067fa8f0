"""Where the epochs went: the sums by epoch, state and reason."""

import math

from bandstand.report.figures.epochs_spent import MAX_REASONS, draw, epochs_spent_data, reason_kind


def test_trials_are_counted_by_the_epoch_they_reached_and_epochs_by_state_and_reason(make_record, run):
    record = make_record(
        [
            run([1.0] * 9),
            run([2.0], "pruned", "rung 1: place 2 of 2, 1 may go on"),
            run([2.0], "pruned", "rung 1: place 3 of 3, 1 may go on"),
            run([2.0] * 3, "pruned", "rung 3: place 2 of 3, 1 may go on"),
            run([2.0, 2.0, math.nan], "failed", "diverged"),
            run([], "failed", "out_of_memory"),
        ]
    )
    data = epochs_spent_data(record)
    assert data.ends == (
        (0, "failed", 1),
        (1, "pruned", 2),
        (3, "failed", 1),
        (3, "pruned", 1),
        (9, "complete", 1),
    )
    assert data.reasons == (
        ("all epochs", "complete", 1, 9),
        ("rung 3", "pruned", 1, 3),
        ("rung 1", "pruned", 2, 2),
        ("diverged", "failed", 1, 3),
        ("out of memory", "failed", 1, 0),
    )
    assert (data.trials, data.epochs) == (6, 17)
    assert "Of 17 epochs, completed trials took 9 (53%) and pruned trials 5 (29%)." in draw(record).caption


def test_reasons_that_differ_only_in_numbers_are_one(run):
    assert reason_kind("pruned", "best 0.31, median 0.22") == reason_kind("pruned", "best 0.4, median 0.2")
    assert reason_kind("running", "rung 1: place 1 of 3, 1 may go on") == "not ended yet"


def test_many_different_reasons_are_joined_without_losing_an_epoch(make_record, run):
    runs = [run([1.0] * 2, "failed", f"cause {number}") for number in range(MAX_REASONS * 3)]
    data = epochs_spent_data(make_record([run([1.0]), *runs]))
    assert len(data.reasons) <= MAX_REASONS
    assert sum(bar.epochs for bar in data.reasons) == data.epochs


def test_every_trial_and_every_epoch_is_in_the_figure(make_synthetic):
    record = make_synthetic(trials=60, max_epochs=9, prune=True)
    figure = draw(record).figure
    above = [trace for trace in figure.data if trace.orientation != "h"]
    below = [trace for trace in figure.data if trace.orientation == "h"]
    assert sum(sum(trace.y) for trace in above) == 60
    assert sum(sum(trace.x) for trace in below) == len(record.measurements)


def test_one_trial_is_a_sentence_instead_of_a_figure(make_record, run):
    assert draw(make_record([run([1.0] * 9)])) == "There is one trial, which trained all 9 epochs."


def test_no_epoch_is_a_sentence_instead_of_a_figure(make_record, run):
    assert draw(make_record([])) == "No epoch has been trained yet (0 trials so far)."
    waiting = make_record([run([], "waiting", ""), run([], "running", "")], state="running")
    assert draw(waiting) == "No epoch has been trained yet (2 trials so far)."
