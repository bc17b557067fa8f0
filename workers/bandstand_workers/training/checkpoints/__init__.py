"""Checkpoints: what is in them, and how they are written down as data that no reader has to run."""

from bandstand_workers.training.checkpoints.checkpoint import (
    Arrays,
    BestWeights,
    CallbackState,
    Checkpoint,
    CheckpointError,
)
from bandstand_workers.training.checkpoints.file_format import decode, encode

__all__ = [
    "Arrays",
    "BestWeights",
    "CallbackState",
    "Checkpoint",
    "CheckpointError",
    "decode",
    "encode",
]
