"""Best value so far, over epochs and over simulated time.

Knows how several studies make one line. Must not know the page around it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bandstand.problem.objective import Objective
from bandstand.report.drawing.bands import Band, band_figure
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.text import duration
from bandstand.simulation.comparison import Comparison
from bandstand.simulation.simulation_result import SimulationResult

__all__ = ["BandData", "band_data", "draw_best_by_epochs", "draw_best_by_time"]

_POINTS = 240
_UNITS = ((2 * 86400.0, 86400.0, "days"), (2 * 3600.0, 3600.0, "hours"), (120.0, 60.0, "minutes"), (0.0, 1.0, "s"))


class BandData(NamedTuple):
    """Best so far against something that is spent; a band reaches from the worst study to the best."""

    objective: Objective
    axis: str
    repeats: int
    bands: tuple[Band, ...]

    @property
    def has_shades(self) -> bool:
        """Whether the spread of the studies is drawn: more than two shades over each other cannot be told apart."""
        return self.repeats > 1 and len(self.bands) <= 2


def band_data(comparison: Comparison, against: str) -> BandData:
    """Median, worst and best of the best value so far; `against` is `epochs` or `seconds`.

    A point exists where every study of the strategy has a value. A study that has ended keeps its best.
    """
    objective = comparison.spec.objective
    longest = max(_spent(result, against) for entry in comparison.entries for result in entry.results)
    _, unit, name = next(unit for unit in _UNITS if longest >= unit[0])
    scale, axis = (1.0, "epochs trained by the study") if against == "epochs" else (unit, f"simulated time ({name})")
    bands = []
    for entry in comparison.entries:
        end = max(_spent(result, against) for result in entry.results)
        grid = np.linspace(0.0, end, _POINTS + 1)
        losses = np.array([_losses_at(result, grid, against, objective.sign) for result in entry.results])
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


def _spent(result: SimulationResult, against: str) -> float:
    return float(result.epochs) if against == "epochs" else result.seconds


def _losses_at(result: SimulationResult, grid: np.ndarray[Any, Any], against: str, sign: float) -> np.ndarray[Any, Any]:
    at = [_position(step.epochs, step.seconds, against) for step in result.improvements]
    losses = np.array([np.inf, *(sign * step.value for step in result.improvements)])
    found: np.ndarray[Any, Any] = losses[np.searchsorted(at, grid, side="right")]
    return found


def _position(epochs: int, seconds: float, against: str) -> float:
    return float(epochs) if against == "epochs" else seconds


def draw_best_by_epochs(comparison: Comparison) -> Drawing:
    """What the budget buys."""
    return _draw(comparison, "epochs", _band_caption(comparison))


def draw_best_by_time(comparison: Comparison) -> Drawing:
    """What one waits for."""
    ends = ", ".join(
        f"{entry.label} after {duration(float(np.median([o.seconds for o in entry.results])))}"
        for entry in comparison.entries
    )
    caption = f"{_band_caption(comparison)} The median study of each strategy ended: {ends}."
    return _draw(comparison, "seconds", caption)


def _draw(comparison: Comparison, against: str, caption: str) -> Drawing:
    data = band_data(comparison, against)
    shaded = [band.label for band in data.bands] if data.has_shades else []
    return Drawing(band_figure(data.bands, data.objective, data.axis, shaded), caption)


def _band_caption(comparison: Comparison) -> str:
    if comparison.repeats == 1:
        return "Each line is the best value of any trial and epoch so far in one study, which proves little."
    shade = ", and its area reaches from the worst study to the best" if len(comparison.entries) <= 2 else ""
    return (
        f"Each line is the best value of any trial and epoch so far, the median of {comparison.repeats} "
        f"studies{shade}. A line begins when all studies have a value."
    )
