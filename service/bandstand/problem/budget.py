"""What a study may spend.

Knows the limits. Must not know what has been spent: `bandstand.trials.ledger` counts that.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bandstand.problem.field_types import Frozen, Positive

__all__ = ["Budget"]


class Budget(Frozen):
    """What a study may spend. The study ends when it reaches the first of its limits."""

    epochs: Positive | None = None
    """Epochs that all trials may train together."""
    trials: Positive | None = None
    """Trials that may begin. A child, which continues from another trial's checkpoint, is not counted."""
    wall_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Seconds that trials may train, over all runs of the study. The chosen model is saved and tested after this
    time."""
    gpu_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Number of busy GPUs times hours. It needs `resources.gpus`."""

    @property
    def is_open(self) -> bool:
        """Whether nothing is limited."""
        return not self.model_dump(exclude_none=True)

    def __str__(self) -> str:
        one = {"epochs": "epoch", "trials": "trial", "wall_seconds": "s", "gpu_hours": "GPU hour"}
        many = {"epochs": "epochs", "trials": "trials", "wall_seconds": "s", "gpu_hours": "GPU hours"}
        limits = self.model_dump(exclude_none=True)
        parts = [f"{value:g} {(one if value == 1 else many)[key]}" for key, value in limits.items()]
        return ", ".join(parts) or "the whole grid"
