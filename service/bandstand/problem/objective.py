"""What a trial is judged by.

Knows a metric, which way it is better, and which epoch counts. Must not know who measures it.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from bandstand.problem.directions import Direction, better_words, direction_from_name, near_metric
from bandstand.problem.field_types import Frozen

__all__ = ["Objective"]


class Objective(Frozen):
    """The metric that trials are judged by, its direction, and the epoch that counts.

    Raises:
        pydantic.ValidationError: the direction is left out, and the metric's name does not tell it.

    Example:
        >>> Objective(metric="val_accuracy").direction
        'maximize'
    """

    metric: str = "val_loss"
    """A key of Keras's epoch logs, such as `val_accuracy`."""
    direction: Direction = "minimize"
    """Whether a lower or a higher value is better. Default: taken from the metric's name if it is certain. Otherwise
    the direction must be given."""
    epoch: Literal["best", "last"] = "best"
    """Epoch whose value and weights are the result of the trial."""
    told_by_name: bool = Field(default=False, exclude_if=operator.not_)
    """Whether the direction comes from the metric's name. Bandstand sets this; the first trainer then checks it."""

    @model_validator(mode="before")
    @classmethod
    def _note_what_is_left_out(cls, settings: Any) -> Any:
        if isinstance(settings, str):
            settings = {"metric": settings}
        if isinstance(settings, Mapping) and settings.get("direction") is None:
            return {**settings, "direction": None, "told_by_name": True}
        return settings

    @field_validator("direction", mode="before")
    @classmethod
    def _told_by_the_name(cls, direction: Any, info: ValidationInfo) -> Any:
        if direction is not None or "metric" not in info.data:
            return direction
        told = direction_from_name(info.data["metric"])
        if told is None:
            near = near_metric(info.data["metric"])
            if near is not None:
                raise ValueError(
                    f"must be set for a metric of an unknown name; got none for {info.data['metric']!r}: did you mean "
                    f"metric = {near!r}? Otherwise set direction to minimize or maximize"
                )
            raise ValueError(
                "must be minimize or maximize if the metric's name does not tell which is better; got none for "
                f'{info.data["metric"]!r}: set direction = "maximize" if higher is better, else "minimize"'
            )
        return told

    def __eq__(self, other: object) -> bool:
        """Whether both judge alike, wherever they have their direction from."""
        return isinstance(other, Objective) and self._judges_by == other._judges_by

    def __hash__(self) -> int:
        """As equality."""
        return hash(self._judges_by)

    @property
    def _judges_by(self) -> tuple[str, str, str]:
        return self.metric, self.direction, self.epoch

    @property
    def better(self) -> str:
        """For people: `higher is better`, or `lower is better`."""
        return better_words(self.direction)

    @property
    def best_word(self) -> str:
        """For people: `highest` or `lowest`."""
        return "lowest" if self.direction == "minimize" else "highest"

    @property
    def contradiction(self) -> str | None:
        """For people, what a given direction has against the metric's name; None where they agree or it tells none."""
        named = direction_from_name(self.metric)
        if named in (None, self.direction):
            return None
        return (
            f"objective.direction = {self.direction!r} says that {self.better}, but for a metric named {self.metric} "
            f"usually {better_words(named)}"
        )

    @property
    def sign(self) -> float:
        """Factor that turns a value into a loss, where smaller is better."""
        return 1.0 if self.direction == "minimize" else -1.0

    def is_better(self, value: float, than: float) -> bool:
        """Whether `value` is strictly better than `than`."""
        return self.sign * value < self.sign * than
