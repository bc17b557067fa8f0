"""Lineages: which trial went on from which, and the schedule of params that the best one's lineage trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from bandstand.report.drawing.axes import log_ticks
from bandstand.report.drawing.drawing import Drawing, Table
from bandstand.report.drawing.style import BEST_COLOR, STATE_STYLES, make_figure
from bandstand.report.records.lineage_layout import DrawnTrial, Step, best_path, lay_out, read_members, related
from bandstand.report.records.params import params_by_trial
from bandstand.report.text import counted, label, measured, number, value_text
from bandstand.store.records import StudyRecord
from bandstand.strategies import facts_of
from bandstand_spaces import Categorical

__all__ = ["LineagesData", "ParamByEpoch", "draw", "lineages_data", "lineages_figure"]

MAX_TRIALS = 600
MAX_SCHEDULES = 6
LINE_PIXELS = (8, 22)
TREE_PIXELS = 700
PANEL_PIXELS = 95
GAP_PIXELS = 34
TITLE_PIXELS = 26
"""Of the tree's axis, above the first panel."""


class ParamByEpoch(NamedTuple):
    """What one number was in each epoch of the best lineage."""

    name: str
    log: bool
    points: tuple[tuple[int, float], ...]  # epoch and value


class LineagesData(NamedTuple):
    """What the figure shows."""

    members: tuple[DrawnTrial, ...]  # those that are drawn
    lines: dict[int, int]  # trial -> line
    path: tuple[Step, ...]  # to the best trial, the oldest first; empty where there is none
    params_by_epoch: tuple[ParamByEpoch, ...]
    changes: tuple[str, ...]  # of the path: what each step's params are, then what changed
    families: int  # trials that have a parent or a child, or belong to a population
    metric: str


def lineages_data(record: StudyRecord) -> LineagesData | str:
    """The tree and the schedule, or why there are none."""
    if not record.trials["parent"].notna().any():
        return "No trial continued from another one, so there are no lineages."
    members = read_members(record)
    best = record.best
    path = best_path({member.trial: member for member in members}, best.number, best.epoch) if best else []
    by_slot = facts_of(record.spec).has_members
    lines = lay_out(members, [step.trial for step in path], MAX_TRIALS, by_slot=by_slot)
    params = params_by_trial(record)
    return LineagesData(
        tuple(member for member in members if member.trial in lines),
        lines,
        tuple(path),
        _params_by_epoch(record, params, path),
        tuple(_change(params, path, index) for index in range(len(path))),
        len(related(members, by_slot=by_slot)),
        record.spec.objective.metric,
    )


def _params_by_epoch(
    record: StudyRecord, params: Mapping[int, Mapping[str, Any]], path: Sequence[Step]
) -> tuple[ParamByEpoch, ...]:
    """Each number that changed on the way, and the measured learning rate where no parameter says the same."""
    found = []
    for name, parameter, _ in record.spec.space.flat():
        if isinstance(parameter, Categorical):
            continue
        points = tuple(
            (epoch, float(params[step.trial][name]))
            for step in path
            if name in params[step.trial]
            for epoch in range(step.first, step.last + 1)
        )
        if len({value for _, value in points}) > 1:
            found.append(ParamByEpoch(name, parameter.log, points))
    rates = _measured_rates(record, path)
    values = [rate for _, rate in rates]
    if len(set(values)) > 1 and not any(_same(rates, one.points) for one in found):
        found.insert(0, ParamByEpoch("learning rate, measured", max(values) > 10 * min(values), rates))
    return tuple(found[:MAX_SCHEDULES])


def _same(one: Sequence[tuple[int, float]], other: Sequence[tuple[int, float]]) -> bool:
    """Whether two params_by_epoch say the same; an optimizer keeps its rate with seven digits."""
    return [epoch for epoch, _ in one] == [epoch for epoch, _ in other] and all(
        isclose(a, b, rel_tol=1e-5) for (_, a), (_, b) in zip(one, other, strict=True)
    )


def _measured_rates(record: StudyRecord, path: Sequence[Step]) -> tuple[tuple[int, float], ...]:
    rows = record.measurements.set_index(["trial", "epoch"])["learning_rate"]
    keys = [(step.trial, epoch) for step in path for epoch in range(step.first, step.last + 1)]
    rates = [(epoch, rows.get((trial, epoch))) for trial, epoch in keys]
    return tuple((epoch, float(rate)) for epoch, rate in rates if rate is not None and not pd.isna(rate) and rate > 0)


def _change(params: Mapping[int, Mapping[str, Any]], path: Sequence[Step], index: int) -> str:
    own = params[path[index].trial]
    before = params[path[index - 1].trial] if index else {}
    told = [f"{name} {value_text(value)}" for name, value in own.items() if before.get(name) != value]
    return ", ".join(told) or "the same params"


def lineages_figure(data: LineagesData) -> go.Figure:
    """Above, the tree: a bar for each trial, a thin line from parent to child; below, the best one's schedule."""
    rows = max(data.lines.values()) + 1
    tree = min(TREE_PIXELS, max(60, rows * min(LINE_PIXELS[1], max(LINE_PIXELS[0], TREE_PIXELS // rows))))
    below = len(data.params_by_epoch) * (PANEL_PIXELS + GAP_PIXELS) + TITLE_PIXELS
    plot = tree + below
    on_path = {step.trial for step in data.path}
    traces: list[Any] = [_branches(data)]
    for state, style in STATE_STYLES.items():
        members = [member for member in data.members if member.state == state and member.trial not in on_path]
        if members:
            traces.append(_bars(data, members, state, style.color, tree / rows))
    if data.path:
        ends = {step.trial: step.last for step in data.path}
        members = [m._replace(last=ends[m.trial]) for m in data.members if m.trial in on_path]
        traces.append(_bars(data, members, "the best one's lineage", BEST_COLOR, tree / rows))
    last = max(member.last for member in data.members)
    x = {"range": [-0.02 * last, 1.02 * last], "zeroline": False}
    layout: dict[str, Any] = {
        "xaxis": x | {"anchor": "y", "title": {"text": "epoch, counted along the lineage"}},
        "yaxis": {
            "domain": [below / plot, 1], "range": [rows - 0.4, -0.6], "showticklabels": False, "showgrid": False,
            "zeroline": False,
        },
        "annotations": [],
    }  # fmt: skip
    for index, one in enumerate(data.params_by_epoch, 2):
        top = (below - TITLE_PIXELS - (index - 2) * (PANEL_PIXELS + GAP_PIXELS) - GAP_PIXELS - 12) / plot
        domain = [max(0.0, top - (PANEL_PIXELS - 12) / plot), top]
        layout[f"yaxis{index}"] = _param_axis(one) | {"domain": domain, "anchor": f"x{index}"}
        layout[f"xaxis{index}"] = x | {"anchor": f"y{index}", "showticklabels": index == len(data.params_by_epoch) + 1}
        place = {"x": 0, "xref": "paper", "xanchor": "left", "y": top, "yref": "paper", "yanchor": "bottom"}
        layout["annotations"].append(
            place | {"text": f"<b>{label(one.name, 40)}</b>", "showarrow": False, "font": {"size": 12}}
        )
        traces.append(_steps(one, index))
    return make_figure(traces, plot + 100, **layout)


def _branches(data: LineagesData) -> go.Scatter:
    """From each parent's line to its child's, at the epoch where the child began."""
    x: list[float | None] = []
    y: list[float | None] = []
    for member in data.members:
        if member.parent in data.lines:
            x += [member.first, member.first, None]
            y += [data.lines[member.parent], data.lines[member.trial], None]
    line = {"color": "#8b96a5", "width": 1}
    return go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False)


def _bars(data: LineagesData, members: Sequence[DrawnTrial], name: str, color: str, room: float) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    texts: list[str] = []
    for member in members:
        x += [member.first, member.last, None]
        y += [data.lines[member.trial]] * 2 + [None]
        words = f"trial {member.trial} ({member.state}): {label(data.metric, 24)} {measured(member.value)}"
        words += f"<br>{label(member.origin, 90)}" if member.origin else ""
        texts += [words, words, ""]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=name,
        line={"color": color, "width": max(2.0, min(7.0, room * 0.4))},
        marker={"size": max(3.0, min(8.0, room * 0.45))},
        text=texts,
        hovertemplate="%{text}<extra></extra>",
    )


def _param_axis(one: ParamByEpoch) -> dict[str, Any]:
    values = [value for _, value in one.points]
    low, high = min(values), max(values)
    if one.log and low > 0:
        ticks = log_ticks(low, high, 3)
        return {"type": "log", "tickvals": ticks, "ticktext": [number(tick, 2) for tick in ticks]}
    return {"nticks": 4}


def _steps(one: ParamByEpoch, index: int) -> go.Scatter:
    """The value of epoch n holds from n - 1 to n."""
    epochs, values = zip(*one.points, strict=True)
    return go.Scatter(
        x=[epoch - 1 for epoch in epochs] + [epochs[-1]],
        y=[*values, values[-1]],
        xaxis=f"x{index}",
        yaxis=f"y{index}",
        mode="lines",
        line={"color": BEST_COLOR, "width": 2, "shape": "hv"},
        showlegend=False,
        hovertemplate=f"{label(one.name, 24)} %{{y:.4g}}<extra></extra>",
    )


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The lineages in `record`; `others` play no part in it."""
    data = lineages_data(record)
    if isinstance(data, str):
        return data
    return Drawing(lineages_figure(data), _caption(data), _table(data) if data.path else None)


def _table(data: LineagesData) -> Table:
    rows = tuple(
        (str(step.trial), f"{step.first} to {step.last}", step.origin.partition(",")[0] or "new random weights", change)
        for step, change in zip(data.path, data.changes, strict=True)
    )
    return Table(("Trial", "Epochs", "Origin", "Params, then changes"), rows)


def _caption(data: LineagesData) -> str:
    parts = [
        "Each bar is a trial from its first to its last epoch, and a thin line leads from a parent to its child.",
    ]
    if data.path:
        parts.append(f"The orange lineage ({counted(len(data.path), 'trial')}) led to the best result.")
    if data.params_by_epoch:
        parts.append("The lower panels show the params that changed in this lineage, epoch by epoch.")
    drawn = sum(member.trial in data.lines for member in data.members)
    if drawn < data.families:
        parts.append(f"The figure shows {drawn:,} of {data.families:,} trials, evenly sampled.")
    return " ".join(parts)
