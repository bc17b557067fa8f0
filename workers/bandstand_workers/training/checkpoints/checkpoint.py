"""Checkpoints: everything a training needs to go on as if it had never stopped.

Knows what is in them. Must not know how they are written down (`file_format`), nor what is taken from a model and put
back (`model_state`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

__all__ = ["Arrays", "BestWeights", "CallbackState", "Checkpoint", "CheckpointError"]

Arrays = list[np.ndarray[Any, Any]]


class CheckpointError(ValueError):
    """A checkpoint cannot be used: it is missing, damaged, foreign, of another form or of another shape.

    The message is one line that names the file. Whoever wanted the checkpoint does without it.
    """

    def __init__(self, message: str, kind: str = "damaged"):
        """`kind` is equal for checkpoints that cannot be used for the same reason."""
        super().__init__(message)
        self.kind = kind


@dataclass(kw_only=True, slots=True)
class BestWeights:
    """The weights of the best epoch so far."""

    loss: float = float("inf")  # the objective as a loss: smaller is better
    epoch: int = 0
    weights: Arrays = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class CallbackState:
    """By what a callback differs from one that has just begun; see `callback_state`."""

    name: str  # of its class, without the module, so that the class may move
    changes: dict[str, Any]  # by attribute, as JSON has it; empty where it does not differ, or begins anew
    arrays: Arrays  # that `changes` names by their places
    obstacle: str | None = None  # the attribute for which it begins anew; not written down


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The state of a training at the end of an epoch.

    Random generators need no place of their own: layers keep theirs in variables, and what else is drawn is seeded
    anew each epoch from (trial seed, epoch).
    """

    epoch: int
    variables: Arrays  # the model's, trainable or not, seed generators included
    optimizer: Arrays  # the optimizer's, the step count and the learning rate included
    callbacks: list[CallbackState]  # of each of the user's callbacks
    best: BestWeights
    others: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    """Variables beyond those, by their path from the model: second optimizers, averages, a user's own metrics."""
    random_states: tuple[int, ...] = ()  # which of the variables are what layers draw by, such as a dropout's
    inherited: bool = False  # it is a parent's: the learning rate, as all hyperparameters, is the child's own
    file: str = "a checkpoint"  # where it came from, for messages; not written down

    @property
    def size_bytes(self) -> int:
        """Of its arrays."""
        in_callbacks = [array for state in self.callbacks for array in state.arrays]
        arrays = (*self.variables, *self.optimizer, *self.others.values(), *self.best.weights, *in_callbacks)
        return sum(array.nbytes for array in arrays)

    def copied(self) -> Checkpoint:
        """The same with arrays of its own."""
        return replace(
            self,
            variables=_copies(self.variables),
            optimizer=_copies(self.optimizer),
            others={path: array.copy() for path, array in self.others.items()},
            callbacks=[replace(state, arrays=_copies(state.arrays)) for state in self.callbacks],
            best=replace(self.best, weights=_copies(self.best.weights)),
        )


def _copies(arrays: Arrays) -> Arrays:
    return [array.copy() for array in arrays]
