"""What each trainer did at each moment: starting a trial, training it, handing it over, or nothing.

Where a study has more trainers or switches than a picture can hold, its moments are as wide as a 600th of its time, and
the first 40 trainers have lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bandstand.report.drawing.axes import row_places, rows_axis
from bandstand.report.drawing.drawing import Drawing, Table
from bandstand.report.drawing.style import make_figure
from bandstand.report.figures.concurrency import Cut, cut_sentence, cut_shapes, overlap, running_marks
from bandstand.report.text import counted, duration, time_unit
from bandstand.store.records import StudyRecord

__all__ = ["TrainerLine", "TrainersData", "draw", "trainers_data", "trainers_figure"]

BINS = 600
MOST = 40
PHASES = ("starting", "training", "handing over")
COLORS = {"starting": "#b08900", "training": "#2f80c9", "handing over": "#8a6fd1"}
IDLE = "idle"
_ROW = 26
Array = NDArray[np.float64]


class TrainerLine(NamedTuple):
    """One trainer."""

    name: str
    spans: tuple[tuple[str, float, float], ...]  # phase, from, to; seconds since the first attempt
    seconds: tuple[tuple[str, float], ...]  # in each phase
    trials: int  # attempts that it had
    present: float  # seconds of the runs in which it had any; a pause is no run

    @property
    def idle_share(self) -> float:
        """Of the time that it was there, that in which it had no trial."""
        busy = sum(seconds for _, seconds in self.seconds)
        return max(0.0, 1 - busy / self.present) if self.present > 0 else 0.0


class TrainersData(NamedTuple):
    """What the figure and its table show."""

    lines: tuple[TrainerLine, ...]  # in the order in which they began
    left_out: int
    span: float  # seconds from the first attempt to the last known moment, without pauses
    cuts: tuple[Cut, ...]  # where the study was paused


def trainers_data(record: StudyRecord) -> TrainersData | str:
    """The lines, or why there are none."""
    attempts = record.attempts
    if attempts.empty:
        return "No trial has been given to a trainer yet."
    names = attempts["worker"].fillna("") if "worker" in attempts else attempts["trial"].map(lambda _: "")
    if (names == "").all():
        return "The study has not stored which trainer trained which trial."
    marks, cuts = running_marks(record)
    span = float(marks.max())
    if span <= 0:
        return "The study has only just begun, so there is no time to show yet."
    lines = [_line(name, marks[(names == name).to_numpy()], span, cuts) for name in names.unique() if name]
    lines.sort(key=lambda line: line.spans[0][1] if line.spans else span)
    return TrainersData(tuple(lines[:MOST]), len(lines[MOST:]), span, cuts)


def _line(name: str, marks: Array, span: float, cuts: Sequence[Cut]) -> TrainerLine:
    """One trainer's phases: in each 600th of the time that which took most of it."""
    edges = np.linspace(0.0, span, BINS + 1)
    inside = np.stack([overlap(marks[:, phase], marks[:, phase + 1], edges) for phase in range(len(PHASES))])
    idle = span / BINS - inside.sum(axis=0)
    most = np.vstack([inside, idle]).argmax(axis=0)
    spans = []
    for phase, group in groupby(range(BINS), key=lambda index: int(most[index])):
        indices = list(group)
        if phase < len(PHASES):
            spans.append((PHASES[phase], float(edges[indices[0]]), float(edges[indices[-1] + 1])))
    seconds = tuple((phase, float(inside[index].sum())) for index, phase in enumerate(PHASES))
    return TrainerLine(name, tuple(spans), seconds, len(marks), _present(marks, span, cuts))


def _present(marks: Array, span: float, cuts: Sequence[Cut]) -> float:
    """Seconds of the runs that any of the attempts began in: in the others there was no such trainer."""
    bounds = np.array([0.0, *(cut.at for cut in cuts), span])
    runs = np.unique(np.searchsorted(bounds[1:-1], marks[:, 0], side="right"))
    return float(np.diff(bounds)[runs].sum())


def trainers_figure(data: TrainersData) -> go.Figure:
    """A line for each trainer, in the colours of its phases."""
    unit, word = time_unit(data.span)
    places = row_places([line.name for line in data.lines])
    traces: list[Any] = []
    for phase in PHASES:
        spans = [(line.name, start, end) for line in data.lines for kind, start, end in line.spans if kind == phase]
        traces.append(
            go.Bar(
                base=[start / unit for _, start, _ in spans],
                x=[(end - start) / unit for _, start, end in spans],
                y=[places[name] for name, _, _ in spans],
                orientation="h",
                name=phase,
                width=0.62,
                marker={"color": COLORS[phase], "line": {"width": 0}},
                hovertemplate=f"{phase}<extra></extra>",
            )
        )
    return make_figure(
        traces,
        110 + _ROW * len(data.lines),
        barmode="overlay",
        xaxis={"title": {"text": f"{word} since the first trial"}, "range": [0, data.span / unit]},
        yaxis=rows_axis(places, 16) | {"showgrid": False},
        shapes=cut_shapes(data.cuts, unit),
        showlegend=True,
    )


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The trainers of `record`; `others` play no part in it."""
    data = trainers_data(record)
    return data if isinstance(data, str) else Drawing(trainers_figure(data), _caption(data), _table(data))


def _table(data: TrainersData) -> Table:
    return Table(
        ("Trainer", "Trials taken", *(phase.capitalize() for phase in PHASES), "Idle"),
        tuple(
            (
                line.name,
                f"{line.trials:,}",
                *(f"{duration(seconds)} ({seconds / (line.present or 1.0):.0%})" for _, seconds in line.seconds),
                f"{line.idle_share:.0%}",
            )
            for line in data.lines
        ),
    )


def _caption(data: TrainersData) -> str:
    more = f" The figure has no line for {counted(data.left_out, 'more trainer')}." if data.left_out else ""
    paused = f" {cut_sentence(data.cuts)}" if data.cuts else ""
    return (
        "Each line is a trainer. The colour at each moment shows the phase that took the most time (blank means idle). "
        "Starting is building the model, reading a checkpoint and compiling. Handing over is the time between the "
        "last epoch and the end of the trial: waiting for the verdict, writing the checkpoint and the model. A "
        "trainer that trains several trials at once has a line for each, and a trainer that replaces another has a "
        f"line of its own.{more}{paused}"
    )
