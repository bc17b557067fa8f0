"""What each trainer did, from hand-made attempts."""

import dataclasses
from datetime import timedelta

import pandas as pd
import pytest

from bandstand.report.drawing.drawing import Drawing
from bandstand.report.figures.concurrency import Cut
from bandstand.report.figures.trainers import BINS, MOST, draw, trainers_data
from tests.service.report.conftest import START, Run, record_of


def record_with(attempts, epochs):
    """Attempts as (trial, worker, began, ended), epochs as (trial, began, ended), in seconds."""
    record = record_of([Run([0.5])] * len(attempts))
    frame = pd.DataFrame(
        [
            (trial, 1, 0, worker, "complete", START + timedelta(seconds=began), START + timedelta(seconds=ended))
            for trial, worker, began, ended in attempts
        ],
        columns=["trial", "attempt", "from_epoch", "worker", "outcome", "started_at", "ended_at"],
    )
    measured = pd.DataFrame(
        [(trial, 1, 1, 0.5, end - begin, START + timedelta(seconds=end)) for trial, begin, end in epochs],
        columns=["trial", "attempt", "epoch", "value", "seconds", "created_at"],
    )
    return dataclasses.replace(record, attempts=frame, measurements=measured)


def test_a_trainers_time_is_told_apart():
    data = trainers_data(
        record_with(
            [(0, "trainer-1", 0, 30), (1, "trainer-2", 10, 60), (2, "trainer-1", 40, 60)],
            [(0, 10, 20), (1, 10, 60), (2, 45, 60)],
        )
    )
    first, second = data.lines
    assert (first.name, first.trials, second.name, second.trials) == ("trainer-1", 2, "trainer-2", 1)
    width = 60 / BINS
    assert [span[0] for span in first.spans] == ["starting", "training", "handing over", "starting", "training"]
    for (_, start, end), (begins, ends) in zip(
        first.spans, [(0, 10), (10, 20), (20, 30), (40, 45), (45, 60)], strict=True
    ):
        assert (start, end) == (pytest.approx(begins, abs=width), pytest.approx(ends, abs=width))
    assert dict(first.seconds) == pytest.approx({"starting": 15, "training": 25, "handing over": 10})
    assert [span[0] for span in second.spans] == ["training"]


def test_the_table_says_how_long_each_was_idle():
    drawing = draw(record_with([(0, "trainer-1", 0, 30), (1, "trainer-2", 0, 60)], [(0, 0, 30), (1, 0, 60)]))
    assert isinstance(drawing, Drawing)
    assert [row[-1] for row in drawing.table.rows] == ["50%", "0%"]


def with_runs(record, *runs):
    return dataclasses.replace(
        record,
        runs=tuple((START + timedelta(seconds=began), START + timedelta(seconds=ended)) for began, ended in runs),
    )


def test_the_time_in_which_a_study_was_paused_is_not_idle_time():
    attempts = [(0, "trainer-1", 0, 30), (1, "trainer-1", 40_000, 40_030), (2, "trainer-2", 40_000, 40_060)]
    record = record_with(attempts, [(0, 0, 30), (1, 40_000, 40_030), (2, 40_000, 40_060)])
    assert [row[-1] for row in draw(record).table.rows] == ["100%", "100%"]  # nobody knows of a pause
    paused = with_runs(record, (0, 30), (40_000, 40_060))
    data = trainers_data(paused)
    assert (data.span, data.cuts) == (90.0, (Cut(30.0, 39_970.0),))
    assert {line.name: line.idle_share for line in data.lines} == pytest.approx({"trainer-1": 1 / 3, "trainer-2": 0.0})
    assert (
        "A red line marks a pause of the study (11.1 hours in all)"
        in draw(with_runs(record, (0, 30), (40_000, 40_060))).caption
    )


def test_an_attempt_that_a_kill_left_open_does_not_last_over_the_pause():
    record = record_with([(0, "trainer-1", 0, 40_000), (0, "trainer-1", 40_000, 40_060)], [(0, 10, 30)])
    data = trainers_data(with_runs(record, (0, 25), (40_000, 40_060)))
    assert data.cuts == (Cut(30.0, 39_970.0),)  # what was trained after the last booking counts as run
    assert sum(seconds for _, seconds in data.lines[0].seconds) == pytest.approx(90.0)


def test_many_switches_make_no_more_bars_than_there_are_moments():
    attempts = [(trial, "trainer-1", trial, trial + 1) for trial in range(5000)]
    data = trainers_data(record_with(attempts, [(trial, trial + 0.1, trial + 0.9) for trial in range(5000)]))
    assert len(data.lines[0].spans) <= BINS
    assert dict(data.lines[0].seconds)["training"] == pytest.approx(4000, rel=0.01)


def test_of_very_many_trainers_the_first_have_lines():
    count = MOST + 3
    drawing = draw(
        record_with(
            [(trial, f"trainer-{trial}", trial, 90) for trial in range(count)],
            [(trial, trial, 90) for trial in range(count)],
        )
    )
    assert len(drawing.table.rows) == MOST
    assert "The figure has no line for 3 more trainers." in drawing.caption


def test_a_study_from_before_workers_were_stored_says_so():
    record = record_with([(0, "", 0, 30)], [(0, 0, 30)])
    assert trainers_data(record) == "The study has not stored which trainer trained which trial."
    assert (
        draw(dataclasses.replace(record, attempts=record.attempts[:0])) == "No trial has been given to a trainer yet."
    )
