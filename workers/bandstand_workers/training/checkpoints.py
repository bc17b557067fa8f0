"""Checkpoints: everything a training needs to go on as if it had never stopped, as bytes.

Knows what is in them. Where they are kept, `bandstand.stored_files` knows; what is taken from a model, and put back,
`model_state`.

A checkpoint is a pickle, so whoever can write to the checkpoint folder can run code in the trainers: treat it like
the code itself.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Arrays", "BestWeights", "Checkpoint", "decode", "encode"]

Arrays = list[np.ndarray[Any, Any]]


@dataclass(kw_only=True, slots=True)
class BestWeights:
    """The weights of the best epoch so far."""

    loss: float = float("inf")  # the objective as a loss: smaller is better
    epoch: int = 0
    weights: Arrays = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """The state of a training at the end of an epoch.

    Random generators need no place of their own: layers keep theirs in variables, and what else is drawn is seeded
    anew each epoch from (trial seed, epoch).
    """

    epoch: int
    variables: Arrays  # the model's, trainable or not, seed generators included
    optimizer: Arrays  # the optimizer's, the step count and the learning rate included
    callbacks: list[dict[str, Any]]  # attributes of each of the user's callbacks
    best: BestWeights
    random_states: tuple[int, ...] = ()  # which of the variables are what layers draw by, such as a dropout's
    inherited: bool = False  # it is a parent's: the learning rate, as all hyperparameters, is the child's own


def encode(checkpoint: Checkpoint) -> bytes:
    """A checkpoint's file content."""
    return pickle.dumps(checkpoint, protocol=5)


def decode(content: bytes) -> Checkpoint:
    """The checkpoint that a file holds."""
    checkpoint = pickle.loads(content)
    assert isinstance(checkpoint, Checkpoint)
    return checkpoint
