"""Where workers' time went, how far trials got and how they ended: numbers, and plotly figures made from those alone.

Knows shares and counts. Must not know the page around them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from bandstand.report.drawing.axes import log_ticks
from bandstand.report.drawing.drawing import Drawing, Table
from bandstand.report.drawing.style import STATE_STYLES, STUDY_COLORS, make_figure
from bandstand.report.text import counted, label, number
from bandstand.simulation.comparison import Comparison
from bandstand.simulation.report.summary import RUNGS_CAPTION, RungReached, rung_table, rungs_of
from bandstand.simulation.simulation_result import SimulationResult
from bandstand.trials.events import TrialState

__all__ = [
    "ShareData",
    "draw_rungs",
    "draw_trial_ends",
    "draw_worker_time",
    "end_data",
    "share_figure",
    "worker_time_data",
]

_BAR = 34  # pixels
_TIME_COLORS = {
    "training": "#2f80c9",
    "training lost by deaths": "#d6455d",
    "starting": "#b08900",
    "idle": "#94a0ae",
}


class ShareData(NamedTuple):
    """Parts of a whole for each strategy, as fractions; means over its studies."""

    labels: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]  # part -> a fraction for each strategy


def worker_time_data(comparison: Comparison) -> ShareData:
    """Where the workers' time went."""

    def share(part: Callable[[SimulationResult], float]) -> tuple[float, ...]:
        return tuple(
            float(np.mean([part(o) / o.worker_seconds if o.worker_seconds else 0.0 for o in entry.results]))
            for entry in comparison.entries
        )

    return ShareData(
        tuple(entry.label for entry in comparison.entries),
        {
            "training": share(lambda o: o.trained_seconds - o.wasted_seconds),
            "training lost by deaths": share(lambda o: o.wasted_seconds),
            "starting": share(lambda o: o.starting_seconds),
            "idle": share(lambda o: o.idle_share * o.worker_seconds),
        },
    )


def draw_worker_time(comparison: Comparison) -> Drawing:
    """Training, starting, idle."""
    data = worker_time_data(comparison)
    deaths = [o.deaths for entry in comparison.entries for o in entry.results]
    died = f" On average, workers died {number(float(np.mean(deaths)), 3)} times in a study." if any(deaths) else ""
    caption = (
        "The bars divide the time of all workers until the last one is done; a worker without work at the end is "
        f"idle.{died}"
    )
    return Drawing(share_figure(data, _TIME_COLORS, "share of the workers' time"), caption)


def end_data(comparison: Comparison) -> ShareData:
    """How trials ended."""
    words = sorted({word for entry in comparison.entries for o in entry.results for word in o.reasons}, key=_end_order)
    return ShareData(
        tuple(entry.label for entry in comparison.entries),
        {
            word: tuple(
                float(np.mean([o.reasons.get(word, 0) / max(1, o.trials) for o in entry.results]))
                for entry in comparison.entries
            )
            for word in words
        },
    )


def _end_order(word: str) -> tuple[int, bool, str]:
    return list(STATE_STYLES).index(word.split(" ")[0]), "max_epochs" not in word, word


def draw_trial_ends(comparison: Comparison) -> Drawing:
    """Complete, pruned, failed, and why."""
    data = end_data(comparison)
    shades: dict[str, tuple[str, ...]] = {
        TrialState.COMPLETE: ("#2f80c9", "#7fb4e0", "#bcd8ef"),
        TrialState.FAILED: ("#d6455d", "#e68a9a", "#f1bcc5"),
    }
    colors: dict[str, str] = {}
    for word in data.shares:
        state = word.split(" ")[0]
        several = shades.get(state, (STATE_STYLES[state].color,))
        colors[word] = several[sum(other.startswith(state) for other in colors) % len(several)]
    trials = ", ".join(
        f"{entry.label} {counted(round(float(np.median([o.trials for o in entry.results]))), 'trial')}"
        for entry in comparison.entries
    )
    caption = (
        f"The bars show the average shares of a study's trials; the median study had {trials}. Complete (budget) means "
        "that the budget ended before the trial had all its epochs."
    )
    return Drawing(share_figure(data, colors, "share of the trials"), caption)


def share_figure(data: ShareData, colors: dict[str, str], axis: str) -> go.Figure:
    """A stacked bar for each strategy."""
    labels = [label(name, 30) for name in data.labels]
    traces = [
        go.Bar(
            x=shares,
            y=labels,
            orientation="h",
            name=part,
            marker={"color": colors[part]},
            hovertemplate=f"%{{y}}<br>{part}: %{{x:.1%}}<extra></extra>",
        )
        for part, shares in data.shares.items()
        if any(share > 0 for share in shares)
    ]
    return make_figure(
        traces,
        180 + _BAR * len(labels),
        barmode="stack",
        bargap=0.35,
        xaxis={"title": {"text": axis}, "range": [0, 1.02], "tickformat": ".0%", "dtick": 0.25},
        yaxis={"autorange": "reversed"},
        showlegend=True,
        legend={"traceorder": "normal"},
    )


def draw_rungs(comparison: Comparison) -> Drawing:
    """How many trials trained which epochs."""
    reached = {entry.label: rungs_of(entry) for entry in comparison.entries}
    every = sorted({rung.epoch for rungs in reached.values() for rung in rungs})
    counts = [_shown_count(rung) for rungs in reached.values() for rung in rungs]
    ticks = log_ticks(min(counts), max(counts))
    figure = make_figure(
        [_rung_line(index, name, rungs) for index, (name, rungs) in enumerate(reached.items())],
        380,
        xaxis={
            "title": {"text": "epoch (log scale)"},
            "type": "log",
            "tickvals": every,
            "ticktext": [str(epoch) for epoch in every],
        },
        yaxis={
            "title": {"text": "trials that trained it (log scale)"},
            "type": "log",
            "tickvals": ticks,
            "ticktext": [number(tick) for tick in ticks],
        },
        showlegend=True,
    )
    header, rows = rung_table(comparison)
    return Drawing(figure, RUNGS_CAPTION, Table(("Strategy", *header[1:]), tuple(rows)))


def _shown_count(rung: RungReached) -> float:
    """Where a rung's marker stands: a scale of logarithms has no place for 0."""
    return max(rung.trials, 0.5)


def _rung_line(index: int, name: str, rungs: Sequence[RungReached]) -> go.Scatter:
    return go.Scatter(
        x=[rung.epoch for rung in rungs],
        y=[_shown_count(rung) for rung in rungs],
        customdata=[rung.trials for rung in rungs],
        mode="lines+markers",
        name=label(name, 44),
        line={"color": STUDY_COLORS[index % len(STUDY_COLORS)], "width": 2.2},
        marker={"size": 9},
        hovertemplate=f"{label(name)}<br>%{{customdata:.4g}} trials trained epoch %{{x}}<extra></extra>",
    )
