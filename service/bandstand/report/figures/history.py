"""Optimization history: each trial's value when it ended, and the best so far, against the epochs trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from bandstand.problem.objective import Objective
from bandstand.report.drawing.axes import make_bounds, objective_axis
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.drawing.sampling import sample_evenly
from bandstand.report.drawing.style import BEST_COLOR, STATE_STYLES, make_figure
from bandstand.report.records.timeline import BestCurve, make_best_curve, ordered_measurements, values_of
from bandstand.report.text import counted, label, measured
from bandstand.store.records import StudyRecord
from bandstand.trials.events import FINAL_STATES, TrialState

__all__ = ["HistoryData", "TrialPoint", "draw", "history_data", "history_figure"]

MAX_POINTS = 1000


class TrialPoint(NamedTuple):
    """A trial when it ended."""

    trial: int
    state: str
    spent: int  # epochs that the study had trained by then
    value: float | None  # None where the trial never had a finite one
    epochs: int  # its own
    reason: str


class HistoryData(NamedTuple):
    """What the figure shows."""

    objective: Objective
    points: tuple[TrialPoint, ...]  # in the order in which the trials ended
    best: BestCurve
    best_trial: int | None
    ended: int  # more than len(points) where those are a sample


def history_data(record: StudyRecord) -> HistoryData | str:
    """The points and the best so far, or why there are none."""
    trials = record.trials
    ended = trials[trials["state"].isin(FINAL_STATES)].assign(value=values_of(trials))
    if len(ended) < 2:
        so_far = "one trial has" if len(ended) else "no trial has"
        return (
            f"A history needs two ended trials. So far {so_far} ended, and {len(trials) - len(ended):,} are under way."
        )
    if not ended["value"].notna().any():
        return f"No trial has a value: {counted(len(ended), 'trial')} ended without a finite {_metric(record)}."
    points = sorted(_points(record, ended), key=lambda point: (point.spent, point.trial))
    kept = sample_evenly(points, MAX_POINTS)
    best_trial = record.best.number if record.best else None
    kept += [point for point in points if point.trial == best_trial and point not in kept]
    return HistoryData(record.spec.objective, tuple(kept), make_best_curve(record), best_trial, len(ended))


def _metric(record: StudyRecord) -> str:
    return record.spec.objective.metric


def _points(record: StudyRecord, ended: pd.DataFrame) -> list[TrialPoint]:
    ordered = ordered_measurements(record)
    last = dict(zip(ordered["trial"].tolist(), ordered.index.tolist(), strict=True))
    measured_at, ended_at = (_moments(column) for column in (ordered["created_at"], ended["ended_at"]))
    # A trial that never finished an epoch is placed by the clock.
    by_clock = np.searchsorted(measured_at, ended_at, "right")
    rows = zip(ended["number"], ended["state"], ended["value"], ended["epochs"], ended["reason"], by_clock, strict=True)
    return [
        TrialPoint(
            trial=int(trial),
            state=str(state),
            spent=last.get(int(trial), int(clock)),
            value=None if pd.isna(value) else float(value),
            epochs=int(epochs),
            reason=str(reason),
        )
        for trial, state, value, epochs, reason, clock in rows
    ]


def _moments(column: pd.Series[Any]) -> np.ndarray[tuple[int, ...], np.dtype[np.datetime64]]:
    """Times in UTC; with a time zone, each would become an object."""
    return pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy("datetime64[us]")


def history_figure(data: HistoryData) -> go.Figure:
    """Markers by state, a line for the best so far, and a strip below for trials without a value."""
    bounds = make_bounds([point.value for point in data.points if point.value is not None], data.objective.sign)
    without = any(point.value is None for point in data.points)
    traces: list[Any] = []
    for state in FINAL_STATES:
        for has_value in (True, False):
            points = [point for point in data.points if point.state == state and (point.value is not None) is has_value]
            if points:
                heights = [bounds.clip(point.value) if bounds and point.value is not None else 0.0 for point in points]
                traces.append(_markers(state, points, heights, data.objective.metric, "y" if has_value else "y2"))
    traces.append(_best_line(data.best))
    traces.extend(_star(data))
    layout: dict[str, Any] = {}
    if without:
        strip = {"domain": [0, 0.07], "range": [-1, 1], "tickvals": [0], "ticktext": ["no value"], "showgrid": False}
        layout["yaxis2"] = strip | {"zeroline": False, "automargin": True}
    return make_figure(
        traces,
        430,
        xaxis={
            "title": {"text": "epochs trained by the study"},
            "rangemode": "tozero",
            "anchor": "y2" if without else "y",
        },
        yaxis=objective_axis(data.objective, bounds) | {"domain": [0.13 if without else 0, 1]},
        **layout,
    )


def _markers(state: str, points: Sequence[TrialPoint], heights: list[float], metric: str, axis: str) -> go.Scatter:
    color, symbol = STATE_STYLES[state]
    return go.Scatter(
        x=[point.spent for point in points],
        y=heights,
        yaxis=axis,
        mode="markers",
        cliponaxis=False,
        name=state,
        showlegend=axis == "y",
        marker={"color": color, "symbol": symbol, "size": 8 if len(points) < 500 else 5, "opacity": 0.85},
        text=[
            f"trial {point.trial}: {label(metric)} {measured(point.value)}<br>"
            f"{state} after {counted(point.epochs, 'epoch')}: {label(point.reason, 60)}"
            for point in points
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def _best_line(best: BestCurve) -> go.Scatter:
    return go.Scatter(
        x=[*best.epochs, best.total],
        y=[*best.values, *best.values[-1:]],
        mode="lines",
        name="best so far",
        line={"color": BEST_COLOR, "width": 2.5, "shape": "hv"},
        hovertemplate="best so far %{y:.5g}<extra></extra>",
    )


def _star(data: HistoryData) -> list[go.Scatter]:
    """A star on the trial that the study chose."""
    return [
        go.Scatter(
            x=[point.spent],
            y=[point.value],
            mode="markers",
            name=f"best trial ({point.trial})",
            marker={"color": BEST_COLOR, "symbol": "star", "size": 15},
            hoverinfo="skip",
        )
        for point in data.points
        if point.trial == data.best_trial
    ]


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The history of `record`; `others` play no part in it."""
    data = history_data(record)
    return data if isinstance(data, str) else Drawing(history_figure(data), _caption(data))


def _caption(data: HistoryData) -> str:
    counts = {state: sum(point.state == state for point in data.points) for state in FINAL_STATES}
    parts = [
        "Each marker is a trial. It shows the trial's value, and how many epochs the study had trained when the trial "
        "ended. The line is the best value so far."
    ]
    if counts[TrialState.PRUNED]:
        parts.append("Pruned trials trained fewer epochs, so most of their values are worse.")
    best = data.best.values[-1] if data.best.values else None
    others = [point.value for point in data.points if point.state != TrialState.COMPLETE and point.value is not None]
    if best is not None and any(data.objective.is_better(value, best) for value in others):
        parts.append(
            "The objective takes the last epoch of each trial, so only a completed trial can be the best, even if "
            "another one has a better value."
        )
    if data.objective.epoch == "best":
        parts.append(
            "The line moves at the epoch that reached the better value. The marker of that trial is where the trial "
            "ended, which may be later."
        )
    without = sum(point.value is None for point in data.points)
    if without:
        parts.append(f"The figure draws {counted(without, 'trial')} without a finite value at the bottom.")
    bounds = make_bounds([point.value for point in data.points if point.value is not None], data.objective.sign)
    if bounds and bounds.beyond:
        parts.append(f"The figure draws {counted(bounds.beyond, 'value')} beyond the axis at its edge.")
    if len(data.points) < data.ended:
        parts.append(f"The figure shows {len(data.points):,} of {data.ended:,} ended trials, evenly sampled in order.")
    return " ".join(parts)
