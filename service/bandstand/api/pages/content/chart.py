"""The best value so far over the epochs that were trained, as lines of an SVG image.

Knows how the best of a study comes about, and coordinates. Must not know what stands around the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.problem.objective import Objective
from bandstand.report.text import counted
from bandstand.store import tables
from bandstand.store.rows.best_rows import read_full_state

__all__ = ["HEIGHT", "WIDTH", "BestSoFar", "Chart", "make_chart", "read_best_so_far"]

WIDTH, HEIGHT = 1000, 300
"""Of the image's own coordinates; the page stretches it to its place."""
_MARGIN = 14
_LOG_FROM = 100.0
"""Largest by smallest value, from which the scale is logarithmic."""

_S = tables.SCHEMA
_CHANGES = f"""
WITH ordered AS (
    SELECT row_number() OVER (ORDER BY seq, trial, epoch) AS spent, trial, epoch, value,
    coalesce(metrics ->> 'loss', '0') AS loss FROM {_S}.measurement WHERE study_id = :study
), counted AS (
    SELECT ordered.spent, ordered.value, ordered.value * :sign AS loss FROM ordered
    JOIN {_S}.trial trial ON trial.study_id = :study AND trial.number = ordered.trial
    WHERE ordered.value > '-infinity' AND ordered.value < 'infinity' AND ordered.loss NOT IN ('nan', 'inf', '-inf')
    AND (:any_epoch OR trial.state = :state AND trial.value IS NOT NULL AND ordered.epoch = trial.epochs)
), followed AS (
    SELECT spent, value, loss, min(loss) OVER (ORDER BY spent ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS best
    FROM counted
)
SELECT spent, value FROM followed WHERE best IS NULL OR loss < best ORDER BY spent
"""


@dataclass(frozen=True, kw_only=True)
class BestSoFar:
    """How a study's best came about, as its report tells it."""

    changes: Sequence[tuple[int, float]]
    """(epochs that the study had trained, value) whenever the best changed."""
    epochs: int
    """That the study has trained in all."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What is drawn."""

    line: str
    """Path of the best value, as steps."""
    end: str
    """Path of the dot at its end."""
    top: float
    bottom: float
    """Values at the image's upper and lower edges."""
    epochs: int
    """At its right edge."""
    is_log: bool
    summary: str
    """The same for whoever does not see it."""


def read_best_so_far(connection: Connection, study: int, objective: Objective) -> BestSoFar:
    """Read how the study's best came about, by the rule of `bandstand.trials.best`."""
    measured = tables.measurement
    state = read_full_state(connection, study, objective)
    given = {"study": study, "sign": objective.sign, "state": state, "any_epoch": objective.epoch == "best"}
    epochs = connection.execute(sa.select(sa.func.count()).where(measured.c.study_id == study)).scalar_one()
    changes = connection.execute(sa.text(_CHANGES), given).all()
    return BestSoFar(changes=[(int(row.spent), float(row.value)) for row in changes], epochs=int(epochs))


def make_chart(best: BestSoFar, metric: str) -> Chart | None:
    """Draw it; None as long as there is nothing to draw.

    Args:
        best: how the best came about.
        metric: what the values are, for the summary.
    """
    if not best.changes:
        return None
    values = [value for _, value in best.changes]
    low, high = min(values), max(values)
    is_log = low > 0 and high / low >= _LOG_FROM
    scaled = [log10(value) for value in values] if is_log else values
    least, span = min(scaled), (max(scaled) - min(scaled)) or 1.0
    xs = [WIDTH * spent / best.epochs for spent, _ in best.changes]
    ys = [HEIGHT - _MARGIN - (HEIGHT - 2 * _MARGIN) * (value - least) / span for value in scaled]
    line = f"M{xs[0]:.1f} {ys[0]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in zip(xs[1:], ys[1:], strict=True))
    first, last = best.changes[0], best.changes[-1]
    return Chart(
        line=f"{line}H{WIDTH}",
        end=f"M{xs[-1]:.1f} {ys[-1]:.1f}h0",
        top=high,
        bottom=low,
        epochs=best.epochs,
        is_log=is_log,
        summary=f"The best {metric} went from {first[1]:.5g} after {counted(first[0], 'epoch')} to "
        f"{last[1]:.5g} after {last[0]}, and stayed there up to epoch {best.epochs}.",
    )
