"""Learning curves: the objective after each epoch, a line for each trial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from bandstand.problem.objective import Objective
from bandstand.report.curves.curve_pairs import read_pairs
from bandstand.report.drawing.axes import epoch_axis, make_bounds, objective_axis
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.drawing.sampling import sample_best_and_evenly
from bandstand.report.drawing.style import BEST_COLOR, STATE_STYLES, make_figure
from bandstand.report.records.timeline import ranked_from_the_best, values_of
from bandstand.report.text import counted, label, measured
from bandstand.store.records import StudyRecord
from bandstand.trials.events import TrialState

__all__ = ["CurvesData", "TrialCurve", "draw", "learning_curves_data", "learning_curves_figure"]

MAX_CURVES = 200
FEW_CURVES = 60
"""Up to so many of a state are drawn with a dot for each value."""


class TrialCurve(NamedTuple):
    """One trial."""

    trial: int
    state: str
    epochs: tuple[int, ...]  # counted from 1
    values: tuple[float, ...]  # NaN where an epoch had no finite value
    diagnosis: str | None = None  # of its training and validation curves, where there is one


class CurvesData(NamedTuple):
    """What the figure shows."""

    objective: Objective
    curves: tuple[TrialCurve, ...]  # the best first
    best_trial: int | None
    trials: int  # with a measured value; more than len(curves) where those are a sample


def learning_curves_data(record: StudyRecord) -> CurvesData | str:
    """The curves, or why there are none."""
    measured = record.measurements.assign(value=values_of(record.measurements))
    measured = measured[measured["trial"].isin(measured.loc[measured["value"].notna(), "trial"])]
    if measured.empty:
        return f"No epoch has a finite {record.spec.objective.metric} yet, so there are no curves."
    if int(measured["epoch"].max()) < 2:
        return "No trial has trained more than one epoch yet, so there are no curves."
    states = dict(zip(record.trials["number"], record.trials["state"], strict=True))
    best_trial = record.best.number if record.best else None
    sign = record.spec.objective.sign
    reached = sign * (measured["value"] * sign).groupby(measured["trial"]).min()
    ranked = ranked_from_the_best(record, {int(trial): float(value) for trial, value in reached.items()})  # type: ignore[call-overload]
    kept = sample_best_and_evenly(ranked, MAX_CURVES)
    pairs = read_pairs(record)
    groups = dict(iter(measured[measured["trial"].isin(kept)].sort_values("epoch").groupby("trial")))
    curves = tuple(
        TrialCurve(
            trial,
            str(states.get(trial, TrialState.RUNNING)),
            tuple(int(epoch) for epoch in groups[trial]["epoch"]),
            tuple(float(value) for value in groups[trial]["value"]),
            str(pairs[trial].diagnosis.kind) if trial in pairs else None,
        )
        for trial in kept
    )
    return CurvesData(record.spec.objective, curves, best_trial, len(ranked))


def learning_curves_figure(data: CurvesData) -> go.Figure:
    """Lines coloured by state; where a trial was pruned or failed, its end is marked; the best trial is on top."""
    traces: list[Any] = []
    for state, style in reversed(list(STATE_STYLES.items())):
        curves = [curve for curve in data.curves if curve.state == state and curve.trial != data.best_trial]
        if not curves:
            continue
        traces.append(_lines(curves, state, style.color, data.objective.metric))
        # A trial of one epoch has no line, so that its end must show it.
        ended = [curve for curve in curves if state != TrialState.COMPLETE or len(curve.epochs) == 1]
        if ended:
            traces.append(_ends(ended, state))
    best = [curve for curve in data.curves if curve.trial == data.best_trial]
    traces.extend(_best(curve, data.objective.metric) for curve in best)
    bounds = make_bounds((value for curve in data.curves for value in curve.values), data.objective.sign)
    longest = max(curve.epochs[-1] for curve in data.curves)
    return make_figure(
        traces,
        430,
        xaxis=epoch_axis(1, longest),
        yaxis=objective_axis(data.objective, bounds),
        legend={"traceorder": "reversed"},
    )


def _joined(curves: Iterable[TrialCurve], part: int) -> list[float | None]:
    """Epochs (part 0) or values (part 1) of all curves with a gap after each, so that one trace holds them."""
    joined: list[float | None] = []
    for curve in curves:
        joined += [None if np.isnan(value) else value for value in (curve.epochs, curve.values)[part]]
        joined.append(None)
    return joined


def _lines(curves: Sequence[TrialCurve], state: str, color: str, metric: str) -> go.Scatter:
    texts = [
        text
        for curve in curves
        for text in [
            *[f"trial {curve.trial} ({_about(curve)}): {label(metric)} {measured(value)}" for value in curve.values],
            "",
        ]
    ]
    few = len(curves) <= FEW_CURVES
    return go.Scatter(
        x=_joined(curves, 0),
        y=_joined(curves, 1),
        # Dots for all of 10,000 values would take a browser a second.
        mode="lines+markers" if few else "lines",
        marker={"size": 3},
        name=state,
        legendgroup=state,
        line={"color": color, "width": 1.2 if few else 0.8},
        opacity=0.75 if few else 0.5,
        text=texts,
        hovertemplate="%{text}<br>epoch %{x}<extra></extra>",
    )


def _about(curve: TrialCurve) -> str:
    """How it ended, and what its curves look like."""
    return f"{curve.state}, {curve.diagnosis}" if curve.diagnosis else curve.state


def _ends(curves: Sequence[TrialCurve], state: str) -> go.Scatter:
    color, symbol = STATE_STYLES[state]
    last = [(curve, _last_finite(curve)) for curve in curves]
    ends = [(curve.epochs[index], curve.values[index]) for curve, index in last if index is not None]
    return go.Scatter(
        x=[epoch for epoch, _ in ends],
        y=[value for _, value in ends],
        mode="markers",
        legendgroup=state,
        showlegend=False,
        marker={"color": color, "symbol": symbol, "size": 8},
        hoverinfo="skip",
    )


def _last_finite(curve: TrialCurve) -> int | None:
    return next((index for index in range(len(curve.values) - 1, -1, -1) if not np.isnan(curve.values[index])), None)


def _best(curve: TrialCurve, metric: str) -> go.Scatter:
    about = _about(curve)
    return go.Scatter(
        x=curve.epochs,
        y=curve.values,
        mode="lines+markers",
        name=f"best trial ({curve.trial})",
        line={"color": BEST_COLOR, "width": 3},
        marker={"size": 6},
        text=[f"best trial {curve.trial} ({about}): {label(metric)} {measured(value)}" for value in curve.values],
        hovertemplate="%{text}<br>epoch %{x}<extra></extra>",
    )


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The curves of `record`; `others` play no part in it."""
    data = learning_curves_data(record)
    return data if isinstance(data, str) else Drawing(learning_curves_figure(data), _caption(data))


def _caption(data: CurvesData) -> str:
    states = {curve.state for curve in data.curves}
    best_shown = data.curves[0].trial == data.best_trial
    parts = ["Each line is a trial" + (", and the thick line is the best one." if best_shown else ".")]
    if any(curve.diagnosis for curve in data.curves):
        parts.append("Point at a line to see how the trial ended and the diagnosis of its curves.")
    if TrialState.PRUNED in states:
        parts.append(
            "A grey line is a pruned trial, and its triangle marks the epoch at which the pruner stopped it. If many "
            "grey lines still improve steeply there, the pruner stops trials too early."
        )
    if TrialState.FAILED in states:
        parts.append("A red cross marks the last finite value of a trial that failed.")
    bounds = make_bounds((value for curve in data.curves for value in curve.values), data.objective.sign)
    if bounds and bounds.beyond:
        parts.append(f"{counted(bounds.beyond, 'value')} far worse than the others lie outside the figure.")
    if len(data.curves) < data.trials:
        best = max(1, MAX_CURVES // 4)
        parts.append(
            f"The figure shows {len(data.curves):,} of {data.trials:,} trials: the {best} best ones, and the others "
            "sampled evenly by rank."
        )
    return " ".join(parts)
