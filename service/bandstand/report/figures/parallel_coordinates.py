"""Parallel coordinates: a row for the value and for each parameter, a line down through them for each trial.

Rows rather than columns, because names and ticks then stay readable on a telephone, however many parameters there are.
Plotly's own `parcoords` is not used: it has no logarithmic axes, cannot show that a parameter was not active, and
needs WebGL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any, NamedTuple

import plotly.graph_objects as go

from bandstand.problem.objective import Objective
from bandstand.report.drawing.axes import Bounds, linear_ticks, log_ticks, make_bounds
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.drawing.parameter_axes import place_of, share, ticks_of
from bandstand.report.drawing.sampling import sample_best_and_evenly
from bandstand.report.drawing.style import BEST_COLOR, make_figure
from bandstand.report.records.params import params_by_trial
from bandstand.report.records.timeline import ranked_from_the_best, values_of
from bandstand.report.text import counted, label, measured, number, value_text
from bandstand.store.records import StudyRecord
from bandstand.trials.events import RESULT_STATES, TrialState
from bandstand_spaces import Parameter, Value

__all__ = ["Axis", "Group", "ParallelData", "TrialLine", "draw", "parallel_data", "parallel_figure"]

MAX_LINES = 200
FEW_LINES = 40
INACTIVE = 1.13
"""Where on a row's scale of 0 to 1 the trials stand that do not have its parameter."""
ROW_PIXELS = 62


class Axis(NamedTuple):
    """One row."""

    name: str
    ticks: tuple[tuple[float, str], ...]  # place from 0 (left) to 1 (right), and what stands there
    conditional: bool  # whether some trials may be without it


class TrialLine(NamedTuple):
    """One trial: its place on each row, None where the parameter was not active."""

    trial: int
    value: float
    places: tuple[float | None, ...]
    texts: tuple[str, ...]


class Group(NamedTuple):
    """How trials of a range of ranks are drawn: those up to this share of all, the best first."""

    name: str
    up_to: float
    color: str
    opacity: float
    width: float


GROUPS = (
    Group("best tenth", 0.1, "#f2a04c", 0.9, 1.8),
    Group("best third", 1 / 3, "#2f80c9", 0.75, 1.4),
    Group("middle third", 2 / 3, "#86aed3", 0.55, 1.1),
    Group("last third", 1.0, "#9aa4b1", 0.4, 1.0),
)


class ParallelData(NamedTuple):
    """What the figure shows."""

    axes: tuple[Axis, ...]  # the objective first
    lines: tuple[TrialLine, ...]  # the best trial first, then by value
    has_best: bool  # whether lines[0] is the trial that the study chose
    trials: int  # with a value, more than len(lines) where those are a sample
    pruned: int  # of the lines
    failed: int  # in the study, left out
    beyond: int  # values drawn at the edge


def parallel_data(record: StudyRecord) -> ParallelData | str:
    """The rows and the lines, or why there are none."""
    trials = record.trials.assign(value=values_of(record.trials))
    sign, best = record.spec.objective.sign, record.best.number if record.best else None
    failed = int(((trials["state"] == TrialState.FAILED) & (trials["number"] != best)).sum())
    is_shown = trials["state"].isin(RESULT_STATES) | (trials["number"] == best)
    ended = trials[is_shown & trials["value"].notna()]
    if len(ended) < 2:
        return f"This figure needs two ended trials with a value, and so far there are {len(ended)}."
    values = {int(trial): float(value) for trial, value in zip(ended["number"], ended["value"], strict=True)}
    ranked = ranked_from_the_best(record, values)
    kept = [(trial, values[trial]) for trial in sample_best_and_evenly(ranked, MAX_LINES)]
    bounds = make_bounds((value for _, value in kept), sign)
    if bounds is None:
        return "No trial has a finite value."
    flat, params = record.spec.space.flat(), params_by_trial(record)
    parameters = [(name, parameter) for name, parameter, _ in flat]
    axes = (
        _objective_axis(record.spec.objective, bounds),
        *(Axis(name, ticks_of(parameter), bool(condition)) for name, parameter, condition in flat),
    )
    lines = tuple(
        _line(trial, value, params[trial], parameters, record.spec.objective, bounds) for trial, value in kept
    )
    shown = {trial for trial, _ in kept}
    pruned = int(ended.loc[ended["number"].isin(shown), "state"].eq(TrialState.PRUNED).sum())
    return ParallelData(axes, lines, ranked[0] == best, len(ranked), pruned, failed, bounds.beyond)


def _objective_axis(objective: Objective, bounds: Bounds) -> Axis:
    ticks = (log_ticks if bounds.is_log(objective) else linear_ticks)(bounds.low, bounds.high)
    return Axis(
        objective.metric, tuple((_value_place(value, objective, bounds), number(value)) for value in ticks), False
    )


def _value_place(value: float, objective: Objective, bounds: Bounds) -> float:
    here = bounds.clip(value)
    if bounds.is_log(objective):
        return share(log10(here), log10(bounds.low), log10(bounds.high))
    return share(here, bounds.low, bounds.high)


def _line(
    trial: int,
    value: float,
    params: Mapping[str, Value],
    parameters: Sequence[tuple[str, Parameter]],
    objective: Objective,
    bounds: Bounds,
) -> TrialLine:
    places: list[float | None] = [_value_place(value, objective, bounds)]
    texts = [f"trial {trial}: {measured(value)}"]
    for name, parameter in parameters:
        active = name in params
        places.append(place_of(parameter, params[name], trial) if active else None)
        texts.append(
            f"trial {trial} ({measured(value)}): {name} {value_text(params[name]) if active else 'not active'}"
        )
    return TrialLine(trial, value, tuple(places), tuple(texts))


def parallel_figure(data: ParallelData) -> go.Figure:
    """Lines in the colour of their group, the worst below, the best trial on top."""
    rows = len(data.axes)
    lines = data.lines[1:] if data.has_best else data.lines
    traces: list[Any] = []
    start = 0.0
    for group in GROUPS:
        members = [line for index, line in enumerate(lines) if start <= index / len(lines) < group.up_to]
        start = group.up_to
        if members:
            traces.insert(0, _trace(members, group.name, group.color, group.opacity, group.width))
    if data.has_best:
        traces.append(_trace(data.lines[:1], f"best trial ({data.lines[0].trial})", BEST_COLOR, 1.0, 3.5))
    conditional = any(axis.conditional for axis in data.axes)
    return make_figure(
        traces,
        60 + ROW_PIXELS * rows,
        xaxis={"range": [-0.04, 1.24 if conditional else 1.04], "visible": False},
        yaxis={
            "range": [rows - 0.3, -0.45],
            "tickvals": list(range(rows)),
            "ticktext": [label(axis.name, 18) for axis in data.axes],
            "showgrid": False,
            "zeroline": False,
        },
        shapes=_row_lines(data.axes),
        annotations=_tick_labels(data.axes),
        legend={"traceorder": "reversed"},
        hovermode="closest",
    )


def _row_lines(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    style = {"color": "#8b96a5", "width": 1}
    return [
        {"type": "line", "x0": 0, "x1": 1, "y0": row, "y1": row, "layer": "below", "line": style}
        for row in range(len(axes))
    ]


def _tick_labels(axes: Sequence[Axis]) -> list[dict[str, Any]]:
    place = {"showarrow": False, "yanchor": "top", "yshift": -5, "borderpad": 1, "font": {"size": 11}}
    labels = [
        place | {"x": x, "y": row, "text": label(text)} for row, axis in enumerate(axes) for x, text in axis.ticks
    ]
    gaps = [row for row, axis in enumerate(axes) if axis.conditional]
    return labels + [place | {"x": INACTIVE, "y": row, "text": "not active"} for row in gaps]


def _trace(lines: Sequence[TrialLine], name: str, color: str, opacity: float, width: float) -> go.Scatter:
    x: list[float | None] = []
    y: list[int | None] = []
    texts: list[str] = []
    for line in lines:
        x += [*(INACTIVE if place is None else place for place in line.places), None]
        y += [*range(len(line.places)), None]
        texts += [*(label(text, 80) for text in line.texts), ""]
    return go.Scatter(
        x=x,
        y=y,
        # Markers for all of many lines would take a browser a second.
        mode="lines+markers" if len(lines) <= FEW_LINES else "lines",
        name=name,
        opacity=opacity,
        line={"color": color, "width": width},
        marker={"size": width + 3},
        text=texts,
        hovertemplate="%{text}<extra></extra>",
    )


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The parameters of `record`; `others` play no part in it."""
    data = parallel_data(record)
    return data if isinstance(data, str) else Drawing(parallel_figure(data), _caption(data))


def _caption(data: ParallelData) -> str:
    parts = [
        "Each line is a trial. It starts at the top at the trial's value, and runs down through its parameters. "
        "Its colour shows the trial's rank.",
        "The orange lines are the best tenth of the trials. If they meet in one part of a row, that parameter "
        "matters and its best values lie there.",
    ]
    if any(axis.conditional for axis in data.axes):
        parts.append(
            "A trial on the far right of a row does not have that parameter, because another choice excludes it."
        )
    if data.pruned:
        parts.append(
            f"{data.pruned:,} of the {len(data.lines):,} trials shown were pruned, so they trained fewer epochs and "
            "most of their values are worse."
        )
    if data.failed:
        parts.append(f"The figure leaves out {counted(data.failed, 'failed trial')}.")
    if data.beyond:
        parts.append(f"The figure draws {counted(data.beyond, 'value')} beyond the first row at its edge.")
    if len(data.lines) < data.trials:
        parts.append(
            f"The figure shows {len(data.lines):,} of {data.trials:,} trials: the {MAX_LINES // 4} best ones, and the "
            "others sampled evenly by rank."
        )
    return " ".join(parts)
