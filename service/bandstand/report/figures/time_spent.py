"""Where the time went: epochs and seconds of training by state, by stretch between rungs and by bracket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from bandstand.report.drawing.drawing import Drawing, Table
from bandstand.report.drawing.style import STATE_STYLES, make_figure
from bandstand.report.text import counted, duration, label, time_unit
from bandstand.store.records import StudyRecord
from bandstand.strategies import facts_of, make_strategy

__all__ = ["Share", "TimeData", "draw", "time_spent_data", "time_spent_figure"]

ROW_PIXELS = 40
MAX_BRACKETS = 12


class Share(NamedTuple):
    """A part of the study's training."""

    name: str
    trials: int  # that trained any of it
    epochs: int
    seconds: float
    by_state: tuple[tuple[str, float], ...]  # seconds of trials of each state


class TimeData(NamedTuple):
    """What the figure and its table show. The shares of each kind add up to all of it."""

    states: tuple[Share, ...]
    stretches: tuple[Share, ...]  # between the epochs at which trials are judged
    brackets: tuple[Share, ...]  # none where there is one only
    bracket_word: str
    epochs: int
    seconds: float
    unknown: int  # epochs whose seconds are not known
    left_out: int  # brackets, the shortest, that are summed up in the last one


def time_spent_data(record: StudyRecord) -> TimeData | str:
    """The shares, or why there are none."""
    measured = record.measurements
    if measured.empty:
        return "No epoch has been trained yet, so there is no time to show."
    trials = record.trials.set_index("number")
    seconds = pd.to_numeric(measured["seconds"], errors="coerce").astype(float)
    frame = pd.DataFrame(
        {
            "trial": measured["trial"],
            "epoch": measured["epoch"],
            "seconds": seconds.fillna(0.0),
            "state": measured["trial"].map(trials["state"]),
            "bracket": measured["trial"].map(trials["bracket"]),
        }
    )
    if not frame["seconds"].sum():
        return "The durations of the epochs were not measured."
    asks = make_strategy(record.spec).ask_epochs()
    ends = [epoch for epoch in asks if epoch < record.spec.max_epochs]
    names = [_stretch(start + 1, end) for start, end in zip([0, *ends], [*ends, record.spec.max_epochs], strict=True)]
    where = pd.cut(frame["epoch"], [0, *ends, float("inf")], labels=False)
    word = "member" if facts_of(record.spec).has_members else "bracket"
    brackets = [_share(f"{word} {bracket}", part) for bracket, part in frame.groupby("bracket")]
    kept, left_out = _longest(brackets, word)
    states = [state for state in STATE_STYLES if (frame["state"] == state).any()]
    stretches = [_share(name, frame[where == index]) for index, name in enumerate(names)]
    return TimeData(
        states=tuple(_share(state, frame[frame["state"] == state]) for state in states),
        stretches=tuple(share for share in stretches if share.epochs),
        brackets=kept if len(brackets) > 1 else (),
        bracket_word=word,
        epochs=len(frame),
        seconds=float(frame["seconds"].sum()),
        unknown=int(seconds.isna().sum()),
        left_out=left_out,
    )


def _stretch(first: int, last: int) -> str:
    return f"epoch {first}" if first == last else f"epochs {first} to {last}"


def _share(name: str, part: pd.DataFrame) -> Share:
    by_state = part.groupby("state")["seconds"].sum()
    return Share(
        str(name),
        int(part["trial"].nunique()),
        len(part),
        float(part["seconds"].sum()),
        tuple((state, float(by_state[state])) for state in STATE_STYLES if state in by_state),
    )


def _longest(brackets: list[Share], word: str) -> tuple[tuple[Share, ...], int]:
    """All, or the longest and the sum of the others."""
    if len(brackets) <= MAX_BRACKETS:
        return tuple(brackets), 0
    order = sorted(range(len(brackets)), key=lambda index: -brackets[index].seconds)
    rest = [brackets[index] for index in order[MAX_BRACKETS - 1 :]]
    totals: dict[str, float] = {}
    for share in rest:
        for state, seconds in share.by_state:
            totals[state] = totals.get(state, 0.0) + seconds
    summed = Share(
        f"{len(rest)} other {word}s",
        sum(share.trials for share in rest),
        sum(share.epochs for share in rest),
        sum(share.seconds for share in rest),
        tuple((state, totals[state]) for state in STATE_STYLES if state in totals),
    )
    kept = sorted(order[: MAX_BRACKETS - 1])
    return (*(brackets[index] for index in kept), summed), len(rest)


def time_spent_figure(data: TimeData) -> go.Figure:
    """A bar for each stretch, then for each bracket, in the colours of the trials' states."""
    groups = [group for group in (data.stretches, data.brackets) if group]
    rows: list[tuple[float, Share]] = []
    place = 0.0
    for group in groups:
        for share in group:
            rows.append((place, share))
            place += 1
        place += 0.6
    unit, word = time_unit(max(share.seconds for _, share in rows))
    traces = [_bars(rows, share.name, unit) for share in data.states]
    return make_figure(
        traces,
        int(ROW_PIXELS * place) + 110,
        barmode="stack",
        legend={"traceorder": "normal"},
        xaxis={"title": {"text": f"{word} of training"}, "rangemode": "tozero"},
        yaxis={
            "tickvals": [place for place, _ in rows],
            "ticktext": [label(share.name, 20) for _, share in rows],
            "range": [place - 0.9, -0.6],
            "showgrid": False,
            "zeroline": False,
        },
    )


def _bars(rows: Sequence[tuple[float, Share]], state: str, unit: float) -> go.Bar:
    own = [(place, share, dict(share.by_state)[state]) for place, share in rows if state in dict(share.by_state)]
    return go.Bar(
        x=[seconds / unit for _, _, seconds in own],
        y=[place for place, _, _ in own],
        width=0.62,
        orientation="h",
        name=state,
        marker={"color": STATE_STYLES[state].color},
        hovertext=[f"{label(share.name)}, {state} trials: {duration(seconds)}" for _, share, seconds in own],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The time of `record`; `others` play no part in it."""
    data = time_spent_data(record)
    return data if isinstance(data, str) else Drawing(time_spent_figure(data), _caption(data), _table(data))


def _table(data: TimeData) -> Table:
    rows: list[tuple[str, ...]] = []
    rows += [_row(share._replace(name=f"{share.name} trials"), data) for share in data.states]
    for group in (data.stretches, data.brackets):
        rows += [_row(share, data) for share in group]
    return Table(("Part", "Trials", "Epochs", "Time", "Share"), tuple(rows))


def _row(share: Share, data: TimeData) -> tuple[str, ...]:
    part = f"{share.seconds / data.seconds:.0%}"
    return share.name, f"{share.trials:,}", f"{share.epochs:,}", duration(share.seconds), part


def _caption(data: TimeData) -> str:
    parts: list[Any] = [
        f"The upper bars show how the training time ({duration(data.seconds)} for {counted(data.epochs, 'epoch')}, "
        "summed over trainers) is split by the epochs at which trials are judged.",
        "The first epoch of a trial includes tracing its model.",
    ]
    if data.brackets:
        what = (
            "members of the population"
            if data.bracket_word == "member"
            else "brackets; a bracket's number is that of its first rung"
        )
        parts.append(f"The lower bars show the {what}.")
    if data.left_out:
        parts.append(f"One bar adds up {data.left_out} of them.")
    if data.unknown:
        parts.append(f"The durations of {counted(data.unknown, 'epoch')} are not known and count as 0.")
    return " ".join(parts)
