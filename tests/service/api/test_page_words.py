"""Numbers in words, the image of the best value, colours that can be read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import bandstand.api.pages
from bandstand.api.pages.content.chart import BestSoFar, make_chart, read_best_so_far
from bandstand.api.pages.words import ago, duration, number, plain_text
from bandstand.report.records.timeline import make_best_curve
from bandstand.report.text import counted
from bandstand.store import tables
from tests.service.api.staged import StagedStudy, make_spec

CSS = (Path(bandstand.api.pages.__file__).parent / "static" / "pages.css").read_text()


def test_numbers_are_put_into_words():
    assert [number(value) for value in (None, 0.123456789, 12345678.0, float("inf"))] == [
        "–",
        "0.12346",
        "1.2346e+07",
        "inf",
    ]
    assert [counted(value, "trial") for value in (1, 1234)] == ["1 trial", "1,234 trials"]
    assert [duration(value) for value in (45.2, 200, 18_120, 273_600)] == [
        "45 s",
        "3 min 20 s",
        "5 h 02 min",
        "3 d 4 h",
    ]
    now = datetime.now(UTC)
    assert [ago(now - timedelta(minutes=minutes)) for minutes in (0, 5, 200, 3000)] == [
        "just now", "5 min ago", "3 h ago", "2 d ago",
    ]  # fmt: skip


def test_a_log_is_shown_without_what_was_meant_for_a_terminal():
    printed = "\x1b[2K\x1b[32mepoch\x1b[0m 1\r\n10 %\r50 %\r100 %\n\x1b]0;title\x07end\b\n"
    assert plain_text(printed) == "epoch 1\n100 %\nend\n"


@pytest.mark.parametrize("epoch", ["best", "last"])
def test_the_image_tells_the_best_as_the_report_does(store, epoch):
    spec = make_spec(objective={"metric": "val_accuracy", "direction": "maximize", "epoch": epoch})
    with StagedStudy(store, spec) as study:
        values = iter([0.5, 0.7, 0.6, 0.9, 0.4] * 20)
        while study.train_one(next(values)):
            pass
        study.train_one(0.99, epochs=1)
        study.end()
    record = store.record(spec.name)
    curve = make_best_curve(record)
    with store.database.connection() as connection:
        found = connection.execute(tables.study.select().where(tables.study.c.name == spec.name)).one()
        best = read_best_so_far(connection, found.id, spec.objective)
    assert best.changes == list(zip(curve.epochs, curve.values, strict=True))
    assert best.epochs == curve.total
    assert best.changes[-1][1] == store.progress(spec.name).best.value


def test_the_image_goes_down_for_what_is_minimized_and_is_logarithmic_over_many_magnitudes():
    chart = make_chart(BestSoFar(changes=[(1, 1000.0), (5, 1.0), (10, 0.1)], epochs=20), "loss")
    assert chart is not None
    heights = [float(y) for y in re.findall(r"[MV](?:[\d.]+ )?([\d.]+)", chart.line)]
    assert heights == sorted(heights)
    assert heights[0] < heights[1] < heights[2]
    assert chart.is_log
    assert heights[2] - heights[1] == pytest.approx((heights[1] - heights[0]) / 3, abs=0.2)
    assert make_chart(BestSoFar(changes=[], epochs=3), "loss") is None
    level = make_chart(BestSoFar(changes=[(1, 0.5)], epochs=1), "loss")
    assert level is not None
    assert (level.top, level.bottom) == (0.5, 0.5)


def _luminance(color):
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one, other):
    low, high = sorted([_luminance(one), _luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_can_be_read_on_whatever_is_behind_it(scheme):
    colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[scheme]))
    for text in ("ink", "quiet", "link"):
        for behind in ("page", "panel", "notice"):
            assert _contrast(colors[text], colors[behind]) >= 4.5, (text, behind)
    assert _contrast(colors["bad"], colors["page"]) >= 4.5
    assert _contrast(colors["accent"], colors["page"]) >= 4.5
    assert _contrast(colors["on-button"], colors["link"]) >= 4.5
    assert _contrast(colors["on-button"], colors["bad"]) >= 4.5
    for sign in ("good", "live", "paused", "quiet"):  # WCAG 1.4.11
        assert _contrast(colors[sign], colors["page"]) >= 3, sign
