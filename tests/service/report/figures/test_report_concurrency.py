"""What the trainers did: phases from the times of attempts and epochs, and no worker is made up."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from bandstand.report.figures.concurrency import BINS, Cut, concurrency_data, draw

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(seconds):
    return None if seconds is None else START + timedelta(seconds=seconds)


@pytest.fixture
def make(make_record, run):
    """A record of attempts (started, ended, outcome, end of each epoch), the epochs taking 2 s each."""

    def record_of(attempts):
        record = make_record([run([1.0] * max(1, len(epochs))) for *_, epochs in attempts])
        rows = [
            (trial, epoch, 1.0, 2.0, 0.1, 1, at(end), 1.0, 1.0)
            for trial, (*_, epochs) in enumerate(attempts)
            for epoch, end in enumerate(epochs, 1)
        ]
        measured = pd.DataFrame(rows, columns=record.measurements.columns)
        columns = ["trial", "attempt", "from_epoch", "outcome", "started_at", "ended_at"]
        tried = [
            (trial, 1, 0, outcome, at(begun), at(ended)) for trial, (begun, ended, outcome, _) in enumerate(attempts)
        ]
        return make_record(
            [run([1.0])] * len(attempts), measurements=measured, attempts=pd.DataFrame(tried, columns=columns)
        )

    return record_of


def test_an_attempt_is_starting_until_its_first_epoch_and_training_until_its_last(make):
    data = concurrency_data(make([(0, 20, "complete", [7, 10, 16])]))
    assert dict(data.seconds) == pytest.approx({"starting": 5.0, "training": 11.0})
    assert (data.busiest, data.span) == (1, 20.0)


def test_the_areas_hold_all_the_time_there_was(make):
    data = concurrency_data(make([(0, 20, "complete", [7, 16]), (3, 9, "pruned", [8]), (12, 30, "complete", [20])]))
    width = data.span / BINS
    for (name, values), (other, seconds) in zip(data.phases, data.seconds, strict=True):
        assert name == other
        assert sum(values) * width == pytest.approx(seconds, abs=0.02)
    assert data.busiest == 2


def test_an_attempt_that_begins_when_another_ends_does_not_overlap_it(make):
    assert concurrency_data(make([(0, 10, "complete", [5]), (10, 20, "complete", [15])])).busiest == 1


def test_an_attempt_without_an_epoch_was_starting_all_the_time(make):
    assert dict(concurrency_data(make([(0, 10, "failed", [])])).seconds)["starting"] == pytest.approx(10.0)


def test_a_running_attempt_lasts_until_the_last_known_moment(make):
    data = concurrency_data(make([(0, 30, "complete", [10]), (10, None, None, [15])]))
    assert data.span == 30.0
    assert sum(seconds for _, seconds in data.seconds) == pytest.approx(15.0)


def test_an_epoch_that_seems_to_begin_before_its_attempt_makes_no_negative_time(make):
    data = concurrency_data(make([(5, 10, "complete", [6, 11])]))
    assert all(seconds >= 0 for _, seconds in data.seconds)


def test_the_caption_says_that_workers_are_not_known_and_counts_deaths_and_pauses(make):
    drawn = draw(make([(0, 10, "lost", [5]), (10, 20, "paused", [15]), (20, 30, "complete", [25])]))
    assert "1 attempt ended because the trainer died" in drawn.caption
    assert "1 attempt ended because the trial paused at a rung" in drawn.caption
    assert [row[0] for row in drawn.table.rows] == ["starting", "training", "the rest"]


def test_no_attempt_is_a_sentence(make_record):
    assert draw(make_record([])) == "No trial has been given to a trainer yet."


def test_a_pause_of_the_study_is_neither_training_nor_nothing_to_do(make):
    record = make([(0, 20, "paused", [10, 20]), (7200, 7220, "complete", [7210, 7220])])
    paused = dataclasses.replace(record, runs=((at(0), at(20)), (at(7200), at(7220))))
    data = concurrency_data(paused)
    assert (data.span, data.cuts) == (40.0, (Cut(20.0, 7180.0),))
    assert sum(seconds for _, seconds in data.seconds) == pytest.approx(40.0)
    drawn = draw(paused)
    assert drawn.table.rows[-1][:3] == ("the rest", "0 s", "0%")
    assert "A red line marks a pause of the study (120 minutes in all)" in drawn.caption
    assert len(drawn.figure.layout.shapes) == 2


def test_bookings_that_leave_out_a_few_seconds_are_no_pause(make):
    record = make([(0, 60, "complete", [10, 60])])
    assert concurrency_data(dataclasses.replace(record, runs=((at(0), at(30)), (at(38), at(60))))).cuts == ()
