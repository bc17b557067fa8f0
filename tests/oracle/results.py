"""What a training of a point showed.

Knows nothing but the words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Result"]


@dataclass
class Result:
    """Of one training, whoever did it."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    variables: list[Any] = field(default_factory=list)  # (path, value) at the end of the last epoch
    score: dict[str, float] | None = None  # of the saved model, on the validation data
    error: str = ""
    unkept: tuple[str, ...] = ()  # why a resumed trial may differ, as the trial's outcomes said
    reason_for_fit: str = ""
    is_compiled: bool = False  # whether a compiled program trained it
