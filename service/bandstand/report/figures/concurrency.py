"""What the trainers did over time: how many trials were being started and trained at each moment.

By the times of attempts and epochs; which trainer did what is in `trainers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from bandstand.report.drawing.drawing import Drawing, Table
from bandstand.report.drawing.style import make_figure
from bandstand.report.records.pauses import clock_seconds, cut_out, find_pauses
from bandstand.report.text import counted, duration, time_unit
from bandstand.store.records import StudyRecord

__all__ = [
    "PHASES",
    "ConcurrencyData",
    "Cut",
    "concurrency_data",
    "concurrency_figure",
    "cut_sentence",
    "cut_shapes",
    "draw",
    "overlap",
    "running_marks",
]

BINS = 240
PHASES = ("starting", "training")
COLORS = {"starting": "#b08900", "training": "#2f80c9"}
MEANINGS = {
    "starting": "building the model, reading a checkpoint, compiling",
    "training": "epochs; between them validation, reports and waiting for an answer",
    "the rest": "writing checkpoints, handing over and idle time. Idle time is counted for as many trainers as worked "
    "at the busiest moment.",
}
Array = NDArray[np.float64]


class Cut(NamedTuple):
    """A pause of the study, which is left out of the time that is shown."""

    at: float  # seconds of running since the first attempt
    seconds: float  # that it lasted


class ConcurrencyData(NamedTuple):
    """What the figure and its table show."""

    times: tuple[float, ...]  # seconds of running since the first attempt: the middle of each bin
    phases: tuple[tuple[str, tuple[float, ...]], ...]  # trials in each phase, the mean of each bin
    busiest: int  # trials at the same moment, at most
    span: float  # seconds from the first attempt to the last known moment, without pauses
    seconds: tuple[tuple[str, float], ...]  # in each phase, summed over trials
    lost: int  # attempts whose worker died
    pauses: int  # attempts that ended because their trial was to wait
    cuts: tuple[Cut, ...]  # where the study was paused


def concurrency_data(record: StudyRecord) -> ConcurrencyData | str:
    """The counts over time, or why there are none."""
    attempts = record.attempts
    if attempts.empty:
        return "No trial has been given to a trainer yet."
    marks, cuts = running_marks(record)
    span = float(marks.max())
    if span <= 0:
        return "The study has only just begun, so there is no time to show yet."
    edges = np.linspace(0, span, BINS + 1)
    phases, seconds = [], []
    for index, name in enumerate(PHASES):
        starts, ends = marks[:, index], marks[:, index + 1]
        busy = overlap(starts, ends, edges) / (span / BINS)
        phases.append((name, tuple(np.round(busy, 4).tolist())))
        seconds.append((name, float((ends - starts).sum())))
    return ConcurrencyData(
        tuple(((edges[:-1] + edges[1:]) / 2).tolist()),
        tuple(phases),
        _busiest(marks[:, 0], marks[:, 2]),
        span,
        tuple(seconds),
        int((attempts["outcome"] == "lost").sum()),
        int((attempts["outcome"] == "paused").sum()),
        cuts,
    )


def running_marks(record: StudyRecord) -> tuple[Array, tuple[Cut, ...]]:
    """As `attempt_marks`, since the first attempt began and on a clock that stands still while the study is paused.

    With the pauses between the first mark and the last.
    """
    marks, pauses = attempt_marks(record), find_pauses(record)
    running = cut_out(marks, pauses)
    origin = running[:, 0].min()
    places = cut_out(pauses[:, 0], pauses) - origin
    cuts = (Cut(float(at), float(ended - began)) for at, (began, ended) in zip(places, pauses, strict=True))
    span = float(running.max() - origin)
    return running - origin, tuple(cut for cut in cuts if 0 < cut.at < span)


def attempt_marks(record: StudyRecord) -> Array:
    """A row for each attempt: when it began, when its first epoch did, when its last epoch was there, when it ended.

    Between the last two nobody knows whether it had a trainer: it may have been waiting for a verdict. In seconds of
    the clock. An attempt without an epoch was starting all the time; one that has not ended lasts until
    the last moment that anything is known of.
    """
    attempts, measured = record.attempts, record.measurements
    began, ended = clock_seconds(attempts["started_at"]), clock_seconds(attempts["ended_at"])
    created = clock_seconds(measured["created_at"])
    known = [float(np.nanmax(times)) for times in (began, ended, created) if np.isfinite(times).any()]
    ended = np.where(np.isfinite(ended), ended, max(known))
    own = pd.DataFrame(
        {
            "trial": measured["trial"],
            "attempt": measured["attempt"],
            "first": created - pd.to_numeric(measured["seconds"], errors="coerce").fillna(0.0).to_numpy(dtype=float),
            "last": created,
        }
    )
    epochs = own.groupby(["trial", "attempt"]).agg({"first": "min", "last": "max"})
    keys = pd.MultiIndex.from_frame(attempts[["trial", "attempt"]])
    found = epochs.reindex(keys)
    first = found["first"].fillna(pd.Series(ended, index=keys)).to_numpy(dtype=float)
    latest = found["last"].fillna(pd.Series(ended, index=keys)).to_numpy(dtype=float)
    # The clocks of the store and of the trainers are not the same, so that an epoch may seem to begin too early.
    marks = np.column_stack([began, first, latest, ended])
    ordered: Array = np.maximum.accumulate(np.minimum(marks, ended[:, None]), axis=1)
    return ordered


def overlap(starts: Array, ends: Array, edges: Array) -> Array:
    """Seconds that the intervals spend in each bin, summed over intervals: differences of an integral."""

    def until(times: Array) -> Array:
        ordered = np.sort(times)
        sums = np.concatenate([[0.0], np.cumsum(ordered)])
        count = np.searchsorted(ordered, edges, side="right")
        result: Array = count * edges - sums[count]
        return result

    spent: Array = np.diff(until(starts) - until(ends))
    return spent


def _busiest(starts: Array, ends: Array) -> int:
    """The most intervals that overlap; one that ends when another begins does not overlap it."""
    times = np.concatenate([ends, starts])
    steps = np.concatenate([-np.ones(len(ends)), np.ones(len(starts))])
    order = np.argsort(times, kind="stable")
    return max(1, int(np.cumsum(steps[order]).max()))


def concurrency_figure(data: ConcurrencyData) -> go.Figure:
    """Stacked areas, and a dotted line at the busiest moment."""
    unit, word = time_unit(data.span)
    traces = [
        go.Scatter(
            x=[time / unit for time in data.times],
            y=values,
            name=name,
            mode="lines",
            stackgroup="all",
            line={"width": 0.5, "color": COLORS[name], "shape": "hv"},
            fillcolor=COLORS[name],
            hovertemplate=f"{name}: %{{y:.2f}}<extra></extra>",
        )
        for name, values in data.phases
    ]
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": data.busiest, "y1": data.busiest}
    return make_figure(
        traces,
        300,
        xaxis={"title": {"text": f"{word} since the first trial"}, "rangemode": "tozero"},
        yaxis={
            "title": {"text": "trials with a trainer"},
            "range": [0, data.busiest * 1.12],
            "dtick": 1 if data.busiest <= 6 else None,
        },
        shapes=[
            line | {"line": {"dash": "dot", "width": 1, "color": "#8b96a5"}},
            *cut_shapes(data.cuts, unit),
        ],
        legend={"traceorder": "normal"},
        hovermode="x unified",
    )


def cut_shapes(cuts: Sequence[Cut], unit: float) -> list[dict[str, Any]]:
    """A red line at each pause; `unit` is how many seconds the axis counts as one."""
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 2, "color": "#d6455d"}}
    return [line | {"x0": cut.at / unit, "x1": cut.at / unit} for cut in cuts]


def cut_sentence(cuts: Sequence[Cut]) -> str:
    """How long a study was paused; empty where it was not."""
    if not cuts:
        return ""
    where = "A red line marks a pause" if len(cuts) == 1 else "Red lines mark pauses"
    return (
        f"{where} of the study ({duration(sum(cut.seconds for cut in cuts))} in all), in which it was not run or had "
        "no trainer. The figure leaves this time out."
    )


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The timeline of `record`; `others` play no part in it."""
    data = concurrency_data(record)
    return data if isinstance(data, str) else Drawing(concurrency_figure(data), _caption(data), _table(data))


def _table(data: ConcurrencyData) -> Table:
    room = data.busiest * data.span
    busy = sum(seconds for _, seconds in data.seconds)
    rows = [
        (name, duration(seconds), f"{seconds / room:.0%}", MEANINGS[name])
        for name, seconds in (*data.seconds, ("the rest", max(0.0, room - busy)))
    ]
    return Table(("Phase", "Time", "Share", "Meaning"), tuple(rows))


def _caption(data: ConcurrencyData) -> str:
    parts = [
        "The areas show how many trials had a trainer at each time, by phase; the dotted line marks the busiest moment "
        f"({counted(data.busiest, 'trial')} at once).",
        *filter(None, [cut_sentence(data.cuts)]),
    ]
    if data.pauses:
        parts.append(f"{counted(data.pauses, 'attempt')} ended because the trial paused at a rung.")
    if data.lost:
        parts.append(f"{counted(data.lost, 'attempt')} ended because the trainer died.")
    return " ".join(parts)
