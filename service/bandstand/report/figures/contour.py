"""Contour: the value over the two most important parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from bandstand.problem.objective import Objective
from bandstand.report.drawing.axes import make_bounds
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.drawing.parameter_axes import cell_of, cells_of, place_of, ticks_of
from bandstand.report.drawing.sampling import sample_best_and_evenly
from bandstand.report.drawing.style import BEST_COLOR, make_figure
from bandstand.report.figures.importances import comparable_values, importances_data
from bandstand.report.records.params import params_by_trial
from bandstand.report.records.timeline import ranked_trials
from bandstand.report.text import label, measured, value_text
from bandstand.store.records import StudyRecord
from bandstand_spaces import Parameter, Value

__all__ = ["ContourData", "Side", "contour_data", "contour_figure", "draw"]

GRID = 36
"""Points of the surface along an axis with a scale."""
NEAR = 1.0
"""Bandwidths from the nearest trial beyond which nothing is drawn."""
MAX_POINTS = 300


class Side(NamedTuple):
    """One parameter."""

    name: str
    ticks: tuple[tuple[float, str], ...]
    grid: tuple[float, ...]  # places where the surface is given: the middles of the cells, where it has cells
    has_cells: bool


class ContourData(NamedTuple):
    """What the figure shows."""

    objective: Objective
    sides: tuple[Side, Side]  # the more important first: across, then up
    surface: tuple[tuple[float | None, ...], ...]  # a row for each place up; None where no trial is near
    points: tuple[tuple[int, float, float, float, str], ...]  # trial, place across, place up, value, text
    best_trial: int | None
    epoch: int | None


def contour_data(record: StudyRecord) -> ContourData | str:
    """The surface, or why there is none."""
    told = importances_data(record)
    if isinstance(told, str):
        return f"The two most important parameters are not known yet. {told}"
    parameters = {name: parameter for name, parameter, _ in record.spec.space.flat()}
    names = [name for name, _ in told.shares[:2]]
    chosen = [parameters[name] for name in names]
    epoch, values = comparable_values(record)
    params, sign = params_by_trial(record), record.spec.objective.sign
    kept = sample_best_and_evenly(ranked_trials(record, values), MAX_POINTS)
    bounds = make_bounds((values[trial] for trial in kept), sign)
    assert bounds is not None  # comparable values are finite
    sides = [_side(name, parameter) for name, parameter in zip(names, chosen, strict=True)]
    clipped = np.array([bounds.clip(values[trial]) for trial in kept])
    weights = [
        _weights(side, parameter, [params[trial][side.name] for trial in kept])
        for side, parameter in zip(sides, chosen, strict=True)
    ]
    joint = weights[1][:, None, :] * weights[0][None, :, :]  # up, across, trials
    total = joint.sum(axis=2)
    near = joint.max(axis=2) >= np.exp(-0.5 * NEAR**2)
    surface = np.where(near, (joint @ clipped) / np.maximum(total, 1e-300), np.nan)
    points = tuple(_point(trial, values[trial], params[trial], names, chosen) for trial in kept)
    best = record.best.number if record.best and record.best.number in kept else None
    rows = tuple(tuple(None if np.isnan(value) else round(float(value), 6) for value in row) for row in surface)
    return ContourData(record.spec.objective, (sides[0], sides[1]), rows, points, best, epoch)


def _side(name: str, parameter: Parameter) -> Side:
    cells = cells_of(parameter)
    count = len(cells) or GRID
    return Side(
        name,
        ticks_of(parameter),
        tuple((index + 0.5) / count for index in range(count)) if cells else tuple(np.linspace(0, 1, count).tolist()),
        bool(cells),
    )


def _weights(side: Side, parameter: Parameter, values: Sequence[Value]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Of each trial (column) at each place (row): a Gaussian kernel on a scale, the same cell or none otherwise."""
    if side.has_cells:
        own = np.array([cell_of(parameter, value) for value in values])
        same: np.ndarray[Any, np.dtype[np.float64]] = (np.arange(len(side.grid))[:, None] == own).astype(float)
        return same
    places = np.array([place_of(parameter, value) for value in values])
    # Scott's rule in two dimensions (Scott, Multivariate Density Estimation, 1992, section 6.3.1), with a floor.
    width = max(0.05, float(places.std()) * len(places) ** (-1 / 6))
    distance = (np.array(side.grid)[:, None] - places[None, :]) / width
    kernel: np.ndarray[Any, np.dtype[np.float64]] = np.exp(-0.5 * distance**2)
    return kernel


def _point(
    trial: int, value: float, params: Mapping[str, Value], names: Sequence[str], chosen: Sequence[Parameter]
) -> tuple[int, float, float, float, str]:
    places = [place_of(parameter, params[name], trial + 1) for name, parameter in zip(names, chosen, strict=True)]
    text = ", ".join(f"{name} {value_text(params[name])}" for name in names)
    return trial, round(places[0], 4), round(places[1], 4), value, text


def contour_figure(data: ContourData) -> go.Figure:
    """The surface in colours, darker where better, with a dot for each trial and a star on the best."""
    across, up = data.sides
    metric = label(data.objective.metric, 24)
    settings: dict[str, Any] = {
        "x": across.grid,
        "y": up.grid,
        "z": data.surface,
        "colorscale": "Blues",
        "reversescale": data.objective.direction == "minimize",
        "colorbar": {"orientation": "h", "thickness": 12, "y": 1.02, "yanchor": "bottom", "title": {"text": metric}},
        "hoverinfo": "skip",
    }
    if across.has_cells or up.has_cells:
        surface = go.Heatmap(xgap=int(across.has_cells), ygap=int(up.has_cells), **settings)
    else:
        surface = go.Contour(line={"width": 0.6}, connectgaps=False, ncontours=12, **settings)
    traces: list[Any] = [surface]
    for best in (False, True):
        points = [point for point in data.points if (point[0] == data.best_trial) is best]
        marker = {"color": BEST_COLOR, "symbol": "star", "size": 15} if best else {"color": "#27313d", "size": 5}
        traces.append(
            go.Scatter(
                x=[point[1] for point in points],
                y=[point[2] for point in points],
                mode="markers",
                marker=marker | {"line": {"color": "#ffffff", "width": 1}},
                text=[f"trial {point[0]}: {metric} {measured(point[3])}<br>{label(point[4], 80)}" for point in points],
                hovertemplate="%{text}<extra></extra>",
                showlegend=False,
            )
        )
    return make_figure(traces, 460, xaxis=_axis(across), yaxis=_axis(up))


def _axis(side: Side) -> dict[str, Any]:
    return {
        "title": {"text": label(side.name, 30)},
        "range": [-0.02, 1.02],
        "tickvals": [place for place, _ in side.ticks],
        "ticktext": [label(text) for _, text in side.ticks],
        "zeroline": False,
        "showgrid": False,
    }


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The contour of `record`; `others` play no part in it."""
    data = contour_data(record)
    return data if isinstance(data, str) else Drawing(contour_figure(data), _caption(data))


def _caption(data: ContourData) -> str:
    across, up = data.sides
    after = "" if data.epoch is None else f" after epoch {data.epoch}"
    parts = [
        f"The surface shows the value{after} for {across.name} and {up.name}, the two most important parameters "
        "(darker is better; dots are trials, and the star is the best one).",
        "It is a weighted mean of the trials nearby (Gaussian kernel, Scott's width), blank where no trial is near.",
    ]
    return " ".join(parts)
