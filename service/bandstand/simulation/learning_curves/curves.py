"""What a simulated training yields, as contracts.

Knows how a curve is asked for an epoch. Must not know where values come from, nor who asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from bandstand.problem.objective import Objective
from bandstand_spaces import SearchSpace

__all__ = ["Advance", "Curve", "CurveSource", "Curves", "RecordedCurve", "Setting", "State"]

State: TypeAlias = Any
"""What a checkpoint carries. Never changed in place, so that to keep a reference is to save it."""


class Advance(NamedTuple):
    """What one epoch yields."""

    state: State
    """Where the training stands after it."""
    metrics: Mapping[str, float]
    seconds: float
    """Duration on a worker of speed 1."""
    failure: str | None = None
    """With which reason the training fails in this epoch, which has no metrics then."""


class Curve(Protocol):
    """The training of one trial's params."""

    def start(self) -> State:
        """The state of fresh weights."""
        ...

    def advance(self, state: State, epoch: int, learning_rate: float | None = None) -> Advance:
        """Train epoch `epoch`, counted from 1, from `state`.

        The learning rate is what the study's strategy sets for this epoch, None where it is the params'. What was
        recorded knows nothing of it.

        The state may be another trial's: weights are carried over, what follows is these params' doing. Equal arguments
        yield equal answers, so that an epoch trained again after a loss repeats itself.
        """
        ...


class Curves(Protocol):
    """The curves of one problem."""

    def open(self, params: Mapping[str, Any], seed: int) -> Curve:
        """The curve of these params; `seed` is the trial's, for what differs from one training to the next."""
        ...


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What recorded curves dictate to a study."""

    space: SearchSpace
    objective: Objective
    max_epochs: int
    """Epochs that were recorded."""
    notes: tuple[str, ...] = ()
    """What a reader of the result must know, a sentence each."""


class CurveSource(Protocol):
    """Where curves come from, as named by a user."""

    name: str
    setting: Setting | None
    """None where the curves take any study as it is."""

    def curves(self, space: SearchSpace, objective: Objective, max_epochs: int, seed: int) -> Curves:
        """The curves of a study. `seed` chooses among problems where the source has many; recorded ones are one."""
        ...


class RecordedCurve:
    """A curve that is looked up by epoch; a state says nothing, since the weights were not recorded.

    So a child that goes on from another trial's checkpoint gets the later epochs of its own params' curve, as if it had
    trained with these params from its first epoch.
    """

    __slots__ = ("_metric", "_seconds", "_values")

    def __init__(self, metric: str, values: list[float], seconds: list[float]):
        """`values[0]` and `seconds[0]` belong to epoch 1."""
        self._metric = metric
        self._values = values
        self._seconds = seconds

    def start(self) -> State:
        """Nothing."""
        return None

    def advance(self, state: State, epoch: int, learning_rate: float | None = None) -> Advance:
        """What was recorded for the epoch."""
        return Advance(None, {self._metric: self._values[epoch - 1]}, self._seconds[epoch - 1])
