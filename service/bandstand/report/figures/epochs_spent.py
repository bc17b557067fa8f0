"""Where the epochs went: how long trials lived, and what the epochs were trained for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from bandstand.report.drawing.drawing import Drawing
from bandstand.report.drawing.style import STATE_STYLES, make_figure
from bandstand.report.text import counted, label
from bandstand.store.records import StudyRecord
from bandstand.trials.events import FINAL_STATES, TrialState

__all__ = ["EndBar", "EpochsData", "ReasonBar", "draw", "epochs_spent_data", "epochs_spent_figure"]

MAX_REASONS = 12
ROW_PIXELS = 44
UPPER_PIXELS = 210
GAP_PIXELS = 85
_NO_SCALE = {"showticklabels": False, "showgrid": False, "zeroline": False}
MAX_SINGLE_EPOCHS = 14
"""Beyond so many different epochs the bars stand on a number line."""
_RUNG = re.compile(r"rung (\d+)\b")
_WORDS = {
    "max_epochs": "all epochs",
    "early_stopping": "early stopping",
    "budget": "budget used",
    "diverged": "diverged",
    "missing_metric": "missing metric",
    "worker_died": "worker died",
    "out_of_memory": "out of memory",
    "too_slow": "too slow",
}


class EndBar(NamedTuple):
    """Trials of one state that stand at one epoch."""

    epoch: int
    state: str
    trials: int


class ReasonBar(NamedTuple):
    """Trials of one state with one kind of reason."""

    reason: str
    state: str
    trials: int
    epochs: int  # trained by all of them


class EpochsData(NamedTuple):
    """What the figure shows."""

    ends: tuple[EndBar, ...]  # by epoch
    reasons: tuple[ReasonBar, ...]  # by state, then most epochs first
    trials: int
    epochs: int


def epochs_spent_data(record: StudyRecord) -> EpochsData | str:
    """The bars, or why there are none."""
    trials = record.trials
    total = int(trials["epochs"].sum()) if len(trials) else 0
    if not total:
        return f"No epoch has been trained yet ({counted(len(trials), 'trial')} so far)."
    if len(trials) == 1:
        return f"There is one trial, which trained all {counted(total, 'epoch')}."
    ends: Counter[tuple[int, str]] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    spent: Counter[tuple[str, str]] = Counter()
    for state, reason, epochs in zip(trials["state"], trials["reason"], trials["epochs"], strict=True):
        kind = (str(state), reason_kind(str(state), str(reason)))
        ends[int(epochs), str(state)] += 1
        counts[kind] += 1
        spent[kind] += int(epochs)
    return EpochsData(
        tuple(EndBar(epoch, state, count) for (epoch, state), count in sorted(ends.items())),
        _reason_bars(counts, spent),
        len(trials),
        total,
    )


def reason_kind(state: str, reason: str) -> str:
    """A reason without what differs from trial to trial, so that equal ones can be counted."""
    if state not in FINAL_STATES:
        return "not ended yet"
    rung = _RUNG.match(reason)
    if rung:
        return f"rung {rung[1]}"
    if state == TrialState.PRUNED:
        return "judged worse"
    return _WORDS.get(reason, reason.replace("_", " ") or "no reason given")


def _reason_bars(counts: Counter[tuple[str, str]], spent: Counter[tuple[str, str]]) -> tuple[ReasonBar, ...]:
    order = list(STATE_STYLES)
    bars = [ReasonBar(reason, state, counts[state, reason], spent[state, reason]) for state, reason in counts]
    bars.sort(key=lambda bar: (order.index(bar.state) if bar.state in order else len(order), -bar.epochs, bar.reason))
    if len(bars) <= MAX_REASONS:
        return tuple(bars)
    rest = sorted(bars, key=lambda bar: -bar.trials)[MAX_REASONS - 3 :]
    kept = [bar for bar in bars if bar not in rest]
    for state in dict.fromkeys(bar.state for bar in rest):
        others = [bar for bar in rest if bar.state == state]
        trials, epochs = sum(bar.trials for bar in others), sum(bar.epochs for bar in others)
        kept.append(ReasonBar(f"{len(others)} other reasons", state, trials, epochs))
    return tuple(kept)


def epochs_spent_figure(data: EpochsData) -> go.Figure:
    """Above: trials by the epoch they reached. Below: epochs by state and reason, each bar with its words above it."""
    epochs = sorted({bar.epoch for bar in data.ends})
    named = len(epochs) <= MAX_SINGLE_EPOCHS
    places = {epoch: place if named else epoch for place, epoch in enumerate(epochs)}
    states = [state for state in STATE_STYLES if any(bar.state == state for bar in data.ends)]
    lower = ROW_PIXELS * len(data.reasons)
    plot = UPPER_PIXELS + GAP_PIXELS + lower
    return make_figure(
        [*(_end_bars(data, state, places) for state in states), *(_reason_bars_of(data, state) for state in states)],
        plot + 110,
        barmode="stack",
        bargap=0.25,
        xaxis={
            "title": {"text": "epochs a trial trained"},
            "tickvals": list(places.values()) if named else None,
            "ticktext": [str(epoch) for epoch in places] if named else None,
            "anchor": "y",
        },
        yaxis={
            "title": {"text": "trials"},
            "domain": [(lower + GAP_PIXELS) / plot, 1],
            "anchor": "x",
            "dtick": 1 if data.trials <= 5 else None,
        },
        xaxis2={
            "title": {"text": "epochs trained in all"},
            "anchor": "y2",
            "rangemode": "tozero",
            "dtick": 1 if max(bar.epochs for bar in data.reasons) <= 8 else None,
        },
        yaxis2={"domain": [0, lower / plot], "range": [len(data.reasons) - 0.6, -0.7], "anchor": "x2", **_NO_SCALE},
        annotations=[_reason_words(row, bar) for row, bar in enumerate(data.reasons)],
    )


def _reason_words(row: int, bar: ReasonBar) -> dict[str, Any]:
    words = f"{bar.state}: {bar.reason}, {counted(bar.epochs, 'epoch')} in {counted(bar.trials, 'trial')}"
    place = {"x": 0, "xref": "x2", "xanchor": "left", "y": row - 0.22, "yref": "y2", "yanchor": "bottom"}
    return place | {"text": label(words, 60), "showarrow": False, "font": {"size": 12}, "borderpad": 0}


def _end_bars(data: EpochsData, state: str, places: dict[int, int]) -> go.Bar:
    bars = [bar for bar in data.ends if bar.state == state]
    return go.Bar(
        x=[places[bar.epoch] for bar in bars],
        y=[bar.trials for bar in bars],
        name=state,
        legendgroup=state,
        marker={"color": STATE_STYLES[state].color},
        text=[f"{bar.trials:,}" for bar in bars] if len(places) <= MAX_SINGLE_EPOCHS else None,
        textangle=0,
        hovertext=[f"{counted(bar.trials, 'trial')} {state} after {counted(bar.epoch, 'epoch')}" for bar in bars],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _reason_bars_of(data: EpochsData, state: str) -> go.Bar:
    bars = [(row, bar) for row, bar in enumerate(data.reasons) if bar.state == state]
    return go.Bar(
        x=[bar.epochs for _, bar in bars],
        y=[row for row, _ in bars],
        width=0.36,
        orientation="h",
        xaxis="x2",
        yaxis="y2",
        legendgroup=state,
        showlegend=False,
        marker={"color": STATE_STYLES[state].color},
        hoverinfo="skip",
    )


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The epochs of `record`; `others` play no part in it."""
    data = epochs_spent_data(record)
    return data if isinstance(data, str) else Drawing(epochs_spent_figure(data), _caption(data))


def _caption(data: EpochsData) -> str:
    by_state = {state: sum(bar.epochs for bar in data.reasons if bar.state == state) for state in STATE_STYLES}
    complete, pruned, failed = (by_state[state] for state in FINAL_STATES)
    parts = [
        "The upper panel counts the trials by the epochs that they trained; the lower panel shows what the epochs were "
        "spent on.",
        f"Of {counted(data.epochs, 'epoch')}, completed trials took {complete:,} ({complete / data.epochs:.0%})",
    ]
    if pruned:
        parts[-1] += f" and pruned trials {pruned:,} ({pruned / data.epochs:.0%})"
    parts[-1] += "."
    if pruned:
        parts.append("Pruning saves most if many trials end at the first rung.")
    if failed:
        parts.append(f"Failed trials took {counted(failed, 'epoch')}.")
    return " ".join(parts)
