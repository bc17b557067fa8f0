"""Training and validation: the best trial's two curves with their diagnosis, and what all trials look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isfinite
from typing import NamedTuple

import plotly.graph_objects as go

from bandstand.problem.objective import Objective
from bandstand.report.curves.curve_pairs import MAX_TRIALS, CurvePair, metric_names, read_pairs
from bandstand.report.curves.diagnosis_rules import ADVICE, Kind, Rules
from bandstand.report.drawing.axes import Bounds, epoch_axis, objective_axis
from bandstand.report.drawing.drawing import Drawing, Table
from bandstand.report.drawing.style import BEST_COLOR, STUDY_COLORS, make_figure
from bandstand.report.text import and_list, counted, label, measured
from bandstand.store.records import StudyRecord
from bandstand.trials.events import FINAL_STATES

__all__ = ["PairData", "draw", "train_validation_data", "train_validation_figure"]

EXAMPLES = 5


class PairData(NamedTuple):
    """What the figure and its table show."""

    objective: Objective
    pair: CurvePair
    is_child: bool  # whether the trial went on from another one's checkpoint
    is_best: bool  # whether the pair is of the study's best trial
    best_epoch: int | None  # the epoch whose value is the trial's result
    counts: tuple[tuple[Kind, tuple[int, ...]], ...]  # trials of each kind that occurs, the most frequent first
    available: int  # ended trials with curves; more than were counted where those are a sample


def train_validation_data(record: StudyRecord, rules: Rules | None = None) -> PairData | str:
    """The curves and the counts, or why there are none."""
    train, validation = metric_names(record.spec.objective.metric)
    pairs = read_pairs(record, rules)
    if not pairs:
        return f"No ended trial has logged {validation}, so there is nothing to diagnose."
    if all(pair.train is None for pair in pairs.values()):
        return f"The logs contain {validation} but not {train}, so the fit cannot be diagnosed."
    shown = pairs.get(record.best.number) if record.best else None
    if shown is None:
        shown = max(pairs.values(), key=lambda pair: (len(pair.epochs), -pair.trial))
    groups: dict[Kind, list[int]] = {}
    for pair in pairs.values():
        groups.setdefault(pair.diagnosis.kind, []).append(pair.trial)
    is_best = record.best is not None and shown.trial == record.best.number
    return PairData(
        record.spec.objective,
        shown,
        bool(record.trials.set_index("number")["from_epoch"][shown.trial]),
        is_best,
        record.best.epoch if record.best and is_best else None,
        tuple((kind, tuple(groups[kind])) for kind in sorted(groups, key=lambda kind: (-len(groups[kind]), kind))),
        _available(record, len(pairs)),
    )


def _available(record: StudyRecord, diagnosed: int) -> int:
    if diagnosed < MAX_TRIALS:
        return diagnosed
    trials = record.trials
    ended = trials.loc[trials["state"].isin(FINAL_STATES), "number"]
    return int(ended.isin(record.measurements["trial"]).sum())


def train_validation_figure(data: PairData) -> go.Figure:
    """Two lines; a dot on the epoch that counts, a dotted line where overfitting began."""
    pair, names = data.pair, metric_names(data.objective.metric)
    assert pair.train is not None
    traces = [
        _line(pair.epochs, values, name, color, dash)
        for values, name, color, dash in (
            (pair.train, f"training ({label(names[0], 20)})", STUDY_COLORS[0], "dash"),
            (pair.validation, f"validation ({label(names[1], 20)})", BEST_COLOR, "solid"),
        )
    ]
    if data.best_epoch in pair.epochs:
        value = pair.validation[pair.epochs.index(data.best_epoch)]
        traces.append(
            go.Scatter(
                x=[data.best_epoch],
                y=[value],
                mode="markers",
                name=f"its result, epoch {data.best_epoch}",
                marker={"color": BEST_COLOR, "symbol": "star", "size": 15},
                hoverinfo="skip",
            )
        )
    shapes = []
    if pair.diagnosis.epoch is not None:
        style = {"color": "#d6455d", "dash": "dot", "width": 1.5}
        shapes.append(
            {"type": "line", "x0": pair.diagnosis.epoch, "x1": pair.diagnosis.epoch, "yref": "paper", "y0": 0, "y1": 1}
            | {"line": style}
        )
    return make_figure(
        traces,
        380,
        xaxis=epoch_axis(pair.epochs[0], pair.epochs[-1]),
        yaxis=objective_axis(data.objective, _bounds([*pair.train, *pair.validation])),
        shapes=shapes,
    )


def _bounds(values: Sequence[float]) -> Bounds | None:
    """All of two curves: what would be an outlier among many trials is where this one began."""
    finite = [value for value in values if isfinite(value)]
    return Bounds(min(finite), max(finite), 0) if finite else None


def _line(epochs: Sequence[int], values: Sequence[float], name: str, color: str, dash: str) -> go.Scatter:
    return go.Scatter(
        x=epochs,
        y=[value if isfinite(value) else None for value in values],
        mode="lines+markers",
        name=name,
        line={"color": color, "width": 2.5, "dash": dash},
        marker={"size": 5},
        text=[f"{name}: {measured(value)}" for value in values],
        hovertemplate="%{text}<br>epoch %{x}<extra></extra>",
    )


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The diagnosis of `record`; `others` play no part in it."""
    data = train_validation_data(record)
    if isinstance(data, str):
        return data
    if data.pair.train is None:
        train, _ = metric_names(data.objective.metric)
        return f"Trial {data.pair.trial} has not logged {train}, so its fit cannot be diagnosed."
    return Drawing(train_validation_figure(data), _caption(data), _table(data))


def _table(data: PairData) -> Table:
    rows = tuple(
        (str(kind), f"{len(trials):,}", _examples(trials), ADVICE[kind] or "–") for kind, trials in data.counts
    )  # fmt: skip
    return Table(("Diagnosis", "Trials", "Examples", "What usually helps"), rows)


def _examples(trials: Sequence[int]) -> str:
    return and_list([str(trial) for trial in trials[:EXAMPLES]]) + (" …" if len(trials) > EXAMPLES else "")


def _caption(data: PairData) -> str:
    pair = data.pair
    kinds = Counter({kind: len(trials) for kind, trials in data.counts})
    words = [
        f"Diagnosis of trial {pair.trial} ({'the best' if data.is_best else 'the longest'}): {pair.diagnosis.label}.",
        pair.diagnosis.reason,
        "The dotted line marks that epoch." if pair.diagnosis.epoch is not None else "",
        "The curves are those of its whole lineage." if data.is_child else "",
        f"The table counts {counted(sum(kinds.values()), 'ended trial')} by the same rules.",
        f"These are an even sample of {data.available:,}." if sum(kinds.values()) < data.available else "",
        "If the curves are too noisy for a safe diagnosis, the diagnosis is not clear.",
    ]
    return " ".join(word for word in words if word)
