"""Slices: the value against each parameter, a panel each."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from bandstand.problem.objective import Objective
from bandstand.report.drawing.axes import make_bounds, objective_axis
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.drawing.parameter_axes import cells_of, place_of, ticks_of
from bandstand.report.drawing.sampling import sample_best_and_evenly
from bandstand.report.drawing.style import BEST_COLOR, STUDY_COLORS, make_figure
from bandstand.report.figures.importances import comparable_values
from bandstand.report.records.params import params_by_trial
from bandstand.report.records.timeline import ranked_trials
from bandstand.report.text import counted, label, measured, value_text
from bandstand.store.records import StudyRecord
from bandstand_spaces import Parameter

__all__ = ["Panel", "Point", "SlicesData", "draw", "slices_data", "slices_figure"]

MAX_POINTS = 200
PANEL_PIXELS = 175
GAP_PIXELS = 62
COLUMNS = 2
TICK_LETTERS = 20
"""On the axis of one panel."""
BINS = 6
MIN_BIN = 4
"""Fewer trials than this in each bin of a scale have no median worth drawing."""


class Point(NamedTuple):
    """One trial in one panel."""

    trial: int
    place: float  # on the parameter's axis, 0 to 1
    value: float
    text: str  # of the parameter


class Panel(NamedTuple):
    """One parameter."""

    name: str
    ticks: tuple[tuple[float, str], ...]
    points: tuple[Point, ...]
    medians: tuple[tuple[float, float, float], ...]  # from, to (places) and the median value of the trials between


class SlicesData(NamedTuple):
    """What the figure shows."""

    objective: Objective
    panels: tuple[Panel, ...]  # in the space's order
    best_trial: int | None
    shown: int  # trials
    trials: int  # with a comparable value
    epoch: int | None  # the epoch whose values are compared; None: the results of completed trials


def slices_data(record: StudyRecord) -> SlicesData | str:
    """The panels, or why there are none."""
    epoch, values = comparable_values(record)
    if len(values) < 2:
        return (
            "This figure needs two trials with comparable values: completed, or measured at the same epoch. So far "
            f"there {'is one' if values else 'are none'}."
        )
    params = params_by_trial(record)
    kept = sorted(sample_best_and_evenly(ranked_trials(record, values), MAX_POINTS))
    panels = []
    for name, parameter, _ in record.spec.space.flat():
        having = [trial for trial in kept if name in params[trial]]
        points = tuple(
            Point(
                trial, place_of(parameter, params[trial][name], trial), values[trial], value_text(params[trial][name])
            )
            for trial in having
        )
        if len({params[trial][name] for trial in having}) > 1:
            panels.append(Panel(name, _thinned(ticks_of(parameter, 22)), points, _medians(parameter, points)))
    if not panels:
        return "All trials have the same params, so there is no effect to show."
    best = record.best.number if record.best and record.best.number in kept else None
    return SlicesData(record.spec.objective, tuple(panels), best, len(kept), len(values), epoch)


def _thinned(ticks: tuple[tuple[float, str], ...]) -> tuple[tuple[float, str], ...]:
    """Every second, third ... one, so that their texts fit side by side on a telephone."""
    letters = sum(len(text) + 1 for _, text in ticks)
    return ticks[:: max(1, ceil(letters / TICK_LETTERS))]


def _medians(parameter: Parameter, points: Sequence[Point]) -> tuple[tuple[float, float, float], ...]:
    """Of each cell, or of bins with equally many trials."""
    cells = cells_of(parameter)
    if cells:
        width = 1 / len(cells)
        groups = [
            [point.value for point in points if index * width <= point.place < (index + 1) * width]
            for index in range(len(cells))
        ]
        return tuple(
            ((index + 0.15) * width, (index + 0.85) * width, float(np.median(group)))
            for index, group in enumerate(groups)
            if group
        )
    bins = min(BINS, len(points) // MIN_BIN)
    if bins < 2:
        return ()
    ordered = sorted(points, key=lambda point: point.place)
    parts = [[ordered[index] for index in part] for part in np.array_split(np.arange(len(ordered)), bins)]
    return tuple((part[0].place, part[-1].place, float(np.median([point.value for point in part]))) for part in parts)


def slices_figure(data: SlicesData) -> go.Figure:
    """Panels in two columns that share the axis of values; a bar is the median of the trials that it spans."""
    rows = ceil(len(data.panels) / COLUMNS)
    plot = rows * PANEL_PIXELS + (rows - 1) * GAP_PIXELS
    bounds = make_bounds((point.value for panel in data.panels for point in panel.points), data.objective.sign)
    values = objective_axis(data.objective, bounds)
    title = values.pop("title")["text"]
    traces: list[Any] = []
    layout: dict[str, Any] = {"annotations": []}
    for index, panel in enumerate(data.panels):
        row, column = divmod(index, COLUMNS)
        suffix = "" if index == 0 else str(index + 1)
        top = 1 - row * (PANEL_PIXELS + GAP_PIXELS) / plot
        x = (0.0, 0.47) if column == 0 else (0.53, 1.0)
        layout[f"xaxis{suffix}"] = {
            "domain": list(x), "anchor": f"y{suffix}", "range": [-0.04, 1.04], "zeroline": False,
            "tickvals": [place for place, _ in panel.ticks], "ticktext": [label(text) for _, text in panel.ticks],
            "tickangle": 0,
        }  # fmt: skip
        layout[f"yaxis{suffix}"] = values | {
            "domain": [max(0.0, top - PANEL_PIXELS / plot), top],
            "anchor": f"x{suffix}",
            "showticklabels": column == 0,
        }
        layout["annotations"].append(_panel_title(panel, x[0], top))
        traces += _traces(panel, data, suffix, bounds.clip if bounds else float)
    layout["annotations"].append(
        {"text": title, "x": 0, "xref": "paper", "y": 1, "yref": "paper", "yshift": 26, "xanchor": "left"}
        | {"yanchor": "bottom", "showarrow": False, "font": {"size": 12}}
    )
    return make_figure(traces, plot + 110, showlegend=False, margin={"l": 8, "r": 8, "t": 56, "b": 8}, **layout)


def _panel_title(panel: Panel, x: float, top: float) -> dict[str, Any]:
    place = {"x": x, "xref": "paper", "xanchor": "left", "y": top, "yref": "paper", "yanchor": "bottom", "yshift": 2}
    return place | {"text": f"<b>{label(panel.name, 24)}</b>", "showarrow": False, "font": {"size": 13}}


def _traces(panel: Panel, data: SlicesData, suffix: str, clip: Any) -> list[go.Scatter]:
    others = [point for point in panel.points if point.trial != data.best_trial]
    best = [point for point in panel.points if point.trial == data.best_trial]
    axes = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    metric = label(data.objective.metric, 24)
    traces = [
        go.Scatter(
            x=[round(point.place, 4) for point in points],
            y=[clip(point.value) for point in points],
            mode="markers",
            marker=marker,
            text=[f"trial {point.trial}: {label(point.text)}<br>{metric} {measured(point.value)}" for point in points],
            hovertemplate="%{text}<extra></extra>",
            **axes,
        )
        for points, marker in (
            (others, {"color": STUDY_COLORS[0], "size": 6 if data.shown < 150 else 4, "opacity": 0.55}),
            (best, {"color": BEST_COLOR, "size": 14, "symbol": "star"}),
        )
        if points
    ]
    x, y = [], []
    for start, end, median in panel.medians:
        x += [start, end, None]
        y += [clip(median), clip(median), None]
    if x:
        line = {"color": STUDY_COLORS[1], "width": 3}
        traces.insert(1, go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", **axes))
    return traces


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The slices of `record`; `others` play no part in it."""
    data = slices_data(record)
    return data if isinstance(data, str) else Drawing(slices_figure(data), _caption(data))


def _caption(data: SlicesData) -> str:
    parts = ["Each dot is a trial, and the star is the best one. A trial has the same height in every panel."]
    if any(panel.medians for panel in data.panels):
        parts.append(
            "A bar is the median of the trials in its part of the range. If the bars of a panel are level, the "
            "parameter has no effect by itself."
        )
    if data.epoch is None:
        parts.append("The figure shows only completed trials.")
    else:
        parts.append(f"The values are those after epoch {data.epoch}.")
    if data.shown < data.trials:
        parts.append(
            f"The figure shows {data.shown:,} of {counted(data.trials, 'trial')}: the best ones and a sample of the "
            "others."
        )
    return " ".join(parts)
