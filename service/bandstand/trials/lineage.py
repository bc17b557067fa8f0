"""The lineage of a trial: the way from fresh weights to it, as stretches of epochs that one trial each trained.

Knows trials and their parents. Must not know where they are stored, nor how a lineage is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bandstand.trials.events import Proposed

__all__ = ["Segment", "lineage_of", "parameter_table"]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What one trial contributed to a lineage."""

    trial: int
    params: Mapping[str, Any]
    first_epoch: int  # as the trial counts
    last_epoch: int
    learning_rates: tuple[
        float, ...
    ]  # of these epochs, where the study's strategy set them; empty: as the builder said
    weights: str = "last"  # of the segment before it, that it began with
    origin: str | None = None

    @property
    def epochs(self) -> int:
        """How many."""
        return self.last_epoch - self.first_epoch + 1


def lineage_of(
    trial: int, last_epoch: int, proposals: Mapping[int, Proposed], best_epochs: Mapping[int, int]
) -> list[Segment]:
    """The segments that lead to a trial at an epoch, oldest first.

    Args:
        trial: whose.
        last_epoch: up to where.
        proposals: of the trial and all before it, by trial.
        best_epochs: of each trial: where a child took its parent's best weights, the parent counts up to that epoch.
    """
    segments: list[Segment] = []
    while True:
        made = proposals[trial]
        count = last_epoch - made.from_epoch
        if count > 0:
            segments.append(
                Segment(
                    trial=trial,
                    params=made.params,
                    first_epoch=made.from_epoch + 1,
                    last_epoch=last_epoch,
                    learning_rates=tuple(made.learning_rates[:count]),
                    weights=made.weights,
                    origin=made.origin,
                )
            )
        if made.parent is None or not made.from_epoch:
            return segments[::-1]
        last_epoch = best_epochs[made.parent] if made.weights == "best" else made.from_epoch
        trial = made.parent


def parameter_table(segments: list[Segment], rates: Mapping[tuple[int, int], float | None]) -> list[dict[str, Any]]:
    """A row per epoch of a lineage: epoch (counted from 1 without gaps), trial, learning_rate, and every parameter.

    Args:
        segments: from `lineage_of`.
        rates: the learning rate that was measured in each (trial, epoch), None where the optimizer told none.
    """
    rows: list[dict[str, Any]] = []
    for segment in segments:
        for index in range(segment.epochs):
            rate = segment.learning_rates[index] if index < len(segment.learning_rates) else None
            if rate is None:
                rate = rates.get((segment.trial, segment.first_epoch + index))
            row = {"epoch": len(rows) + 1, "trial": segment.trial, "learning_rate": rate}
            rows.append(row | {f"params_{name}": value for name, value in segment.params.items()})
    return rows
