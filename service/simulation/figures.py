"""Figures of a comparison, each in two halves: numbers, and a plotly figure made from those alone.

Knows what is worth seeing. Must not know the page around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from service.report.axes import log_ticks, make_bounds, objective_axis
from service.report.best_so_far import DASHES
from service.report.drawing import Drawing, Table
from service.report.style import STATE_STYLES, STUDY_COLORS, make_figure
from service.report.text import counted, duration, label, number
from service.simulation.comparison import Comparison
from service.simulation.outcome import Outcome
from service.simulation.summary import ask_epochs_of, rung_table
from service.study import Objective

__all__ = [
    "BandData",
    "ShareData",
    "band_data",
    "draw_best_by_epochs",
    "draw_best_by_time",
    "draw_rungs",
    "draw_trial_ends",
    "draw_worker_time",
    "end_data",
    "worker_time_data",
]

_POINTS = 240
_BAR = 34  # pixels
_TIME_COLORS = {
    "training": "#2f80c9",
    "training made void by deaths": "#d6455d",
    "starting": "#b08900",
    "idle": "#94a0ae",
}
_UNITS = ((2 * 86400.0, 86400.0, "days"), (2 * 3600.0, 3600.0, "hours"), (120.0, 60.0, "minutes"), (0.0, 1.0, "s"))


class Band(NamedTuple):
    """One strategy: the best value so far over its studies."""

    label: str
    x: tuple[float, ...]
    median: tuple[float, ...]
    worst: tuple[float, ...]
    best: tuple[float, ...]


class BandData(NamedTuple):
    """Best so far against something that is spent."""

    objective: Objective
    axis: str
    repeats: int
    bands: tuple[Band, ...]

    @property
    def has_shades(self) -> bool:
        """Whether the spread of the studies is drawn: more than two shades over each other cannot be told apart."""
        return self.repeats > 1 and len(self.bands) <= 2


class ShareData(NamedTuple):
    """Parts of a whole for each strategy, as fractions; means over its studies."""

    labels: tuple[str, ...]
    shares: dict[str, tuple[float, ...]]  # part -> a fraction for each strategy


def band_data(comparison: Comparison, against: str) -> BandData:
    """Median, worst and best of the best value so far; `against` is `epochs` or `seconds`.

    A point exists where every study of the strategy has a value. A study that has ended keeps its best.
    """
    objective = comparison.spec.objective
    longest = max(_spent(outcome, against) for entry in comparison.entries for outcome in entry.outcomes)
    _, unit, name = next(unit for unit in _UNITS if longest >= unit[0])
    scale, axis = (1.0, "epochs trained by the study") if against == "epochs" else (unit, f"simulated time ({name})")
    bands = []
    for entry in comparison.entries:
        end = max(_spent(outcome, against) for outcome in entry.outcomes)
        grid = np.linspace(0.0, end, _POINTS + 1)
        losses = np.array([_losses_at(outcome, grid, against, objective.sign) for outcome in entry.outcomes])
        there = np.isfinite(losses).all(axis=0)
        losses, grid = losses[:, there], grid[there]
        bands.append(
            Band(
                entry.label,
                tuple((grid / scale).tolist()),
                *(
                    tuple((objective.sign * line).tolist())
                    for line in (np.median(losses, axis=0), losses.max(axis=0), losses.min(axis=0))
                ),
            )
        )
    return BandData(objective, axis, comparison.repeats, tuple(bands))


def _spent(outcome: Outcome, against: str) -> float:
    return float(outcome.epochs) if against == "epochs" else outcome.seconds


def _losses_at(outcome: Outcome, grid: np.ndarray[Any, Any], against: str, sign: float) -> np.ndarray[Any, Any]:
    at = [_position(step.epochs, step.seconds, against) for step in outcome.improvements]
    losses = np.array([np.inf, *(sign * step.value for step in outcome.improvements)])
    found: np.ndarray[Any, Any] = losses[np.searchsorted(at, grid, side="right")]
    return found


def _position(epochs: int, seconds: float, against: str) -> float:
    return float(epochs) if against == "epochs" else seconds


def band_figure(data: BandData) -> go.Figure:
    """A stepped line for each strategy, with a band from its worst to its best study."""
    traces: list[Any] = []
    for index, band in enumerate(data.bands):
        color = STUDY_COLORS[index % len(STUDY_COLORS)]
        name = label(band.label, 44)
        if data.has_shades:
            edge = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "hoverinfo": "skip", "showlegend": False}
            traces.append(go.Scatter(x=band.x, y=band.worst, legendgroup=band.label, **edge))
            traces.append(
                go.Scatter(
                    x=band.x, y=band.best, legendgroup=band.label, fill="tonexty", fillcolor=_faint(color), **edge
                )
            )
        traces.append(
            go.Scatter(
                x=band.x,
                y=band.median,
                mode="lines",
                name=name,
                legendgroup=band.label,
                line={"color": color, "dash": DASHES[index % len(DASHES)], "width": 2.4, "shape": "hv"},
                hovertemplate=f"{name}<br>%{{y:.5g}} at %{{x:.4g}}<extra></extra>",
            )
        )
    shown = [value for band in data.bands for value in band.median[len(band.median) // 10 :]]
    bounds = make_bounds(shown, data.objective.sign)
    return make_figure(
        traces,
        420,
        xaxis={"title": {"text": data.axis}, "rangemode": "tozero"},
        yaxis=objective_axis(data.objective, bounds, "best "),
        showlegend=True,
    )


def _faint(color: str) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.13)"


def draw_best_by_epochs(comparison: Comparison) -> Drawing:
    """What the budget buys."""
    return Drawing(band_figure(band_data(comparison, "epochs")), _band_caption(comparison))


def draw_best_by_time(comparison: Comparison) -> Drawing:
    """What one waits for."""
    ends = ", ".join(
        f"{entry.label} after {duration(float(np.median([o.seconds for o in entry.outcomes])))}"
        for entry in comparison.entries
    )
    caption = f"{_band_caption(comparison)} The median study ended: {ends}."
    return Drawing(band_figure(band_data(comparison, "seconds")), caption)


def _band_caption(comparison: Comparison) -> str:
    if comparison.repeats == 1:
        return "The best value that any trial had at any epoch so far. One study of each strategy tells little."
    shade = ", and from the worst to the best of them in the shade" if len(comparison.entries) <= 2 else ""
    return (
        f"The best value that any trial had at any epoch so far: the median of {comparison.repeats} studies{shade}. "
        "A line begins where all of them have a value."
    )


def worker_time_data(comparison: Comparison) -> ShareData:
    """Where the workers' time went."""

    def share(part: Callable[[Outcome], float]) -> tuple[float, ...]:
        return tuple(
            float(np.mean([part(o) / o.worker_seconds if o.worker_seconds else 0.0 for o in entry.outcomes]))
            for entry in comparison.entries
        )

    return ShareData(
        tuple(entry.label for entry in comparison.entries),
        {
            "training": share(lambda o: o.trained_seconds - o.wasted_seconds),
            "training made void by deaths": share(lambda o: o.wasted_seconds),
            "starting": share(lambda o: o.starting_seconds),
            "idle": share(lambda o: o.idle_share * o.worker_seconds),
        },
    )


def draw_worker_time(comparison: Comparison) -> Drawing:
    """Training, starting, idle."""
    data = worker_time_data(comparison)
    deaths = [o.deaths for entry in comparison.entries for o in entry.outcomes]
    died = f" Workers died {number(float(np.mean(deaths)), 3)} times in a study, on average." if any(deaths) else ""
    caption = (
        "Shares of all workers' time from the beginning until the last one was done, so that workers who find nothing "
        f"left to do at the end are idle.{died}"
    )
    return Drawing(share_figure(data, _TIME_COLORS, "share of the workers' time"), caption)


def end_data(comparison: Comparison) -> ShareData:
    """How trials ended."""
    words = sorted({word for entry in comparison.entries for o in entry.outcomes for word in o.reasons}, key=_end_order)
    return ShareData(
        tuple(entry.label for entry in comparison.entries),
        {
            word: tuple(
                float(np.mean([o.reasons.get(word, 0) / max(1, o.trials) for o in entry.outcomes]))
                for entry in comparison.entries
            )
            for word in words
        },
    )


def _end_order(word: str) -> tuple[int, str]:
    return list(STATE_STYLES).index(word.split(" ")[0]), word


def draw_trial_ends(comparison: Comparison) -> Drawing:
    """Complete, pruned, failed, and why."""
    data = end_data(comparison)
    shades = {"complete": ("#2f80c9", "#7fb4e0", "#bcd8ef"), "failed": ("#d6455d", "#e68a9a", "#f1bcc5")}
    colors: dict[str, str] = {}
    for word in data.shares:
        state = word.split(" ")[0]
        several = shades.get(state, (STATE_STYLES[state].color,))
        colors[word] = several[sum(other.startswith(state) for other in colors) % len(several)]
    trials = ", ".join(
        f"{entry.label} {counted(round(float(np.median([o.trials for o in entry.outcomes]))), 'trial')}"
        for entry in comparison.entries
    )
    caption = (
        f"Shares of a study's trials, on average; the median study had: {trials}. Complete (budget) is a trial that "
        "the end of the budget cut short."
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
        150 + _BAR * len(labels),
        barmode="stack",
        bargap=0.35,
        xaxis={"title": {"text": axis}, "range": [0, 1.02], "tickformat": ".0%", "dtick": 0.25},
        yaxis={"autorange": "reversed"},
        showlegend=True,
        legend={"traceorder": "normal"},
    )


def draw_rungs(comparison: Comparison) -> Drawing:
    """How many trials got how far."""
    data: list[tuple[str, Sequence[int], list[float]]] = []
    for entry in comparison.entries:
        epochs = ask_epochs_of(entry)
        reached = [float(np.median([o.reached(epoch) for o in entry.outcomes])) for epoch in epochs]
        data.append((entry.label, epochs, reached))
    every = sorted({epoch for _, epochs, _ in data for epoch in epochs})
    counts = [max(count, 0.5) for _, _, reached in data for count in reached]
    ticks = log_ticks(min(counts), max(counts))
    traces = [
        go.Scatter(
            x=epochs,
            y=[max(count, 0.5) for count in reached],
            customdata=reached,
            mode="lines+markers",
            name=label(name, 44),
            line={"color": STUDY_COLORS[index % len(STUDY_COLORS)], "width": 2.2},
            marker={"size": 9},
            hovertemplate=f"{label(name)}<br>%{{customdata:.4g}} trials reached epoch %{{x}}<extra></extra>",
        )
        for index, (name, epochs, reached) in enumerate(data)
    ]
    figure = make_figure(
        traces,
        380,
        xaxis={
            "title": {"text": "epoch (log scale)"},
            "type": "log",
            "tickvals": every,
            "ticktext": [str(epoch) for epoch in every],
        },
        yaxis={
            "title": {"text": "trials that reached it (log scale)"},
            "type": "log",
            "tickvals": ticks,
            "ticktext": [number(tick) for tick in ticks],
        },
        showlegend=True,
    )
    header, rows = rung_table(comparison)
    caption = (
        "Trials that reached each epoch at which a strategy judges them, the median study. In brackets, in the table: "
        "the share of all epochs that was spent on the way there from the rung before."
    )
    return Drawing(figure, caption, Table(header, tuple(rows)))
