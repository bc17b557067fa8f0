"""Checkpoints: everything a training needs to go on as if it had never stopped, in one file.

Knows the file and what is in it. What is taken from a model, and put back, `model_state` knows.

A checkpoint is a pickle, so whoever can write to the checkpoint folder can run code in the trainers: treat it like
the code itself.
"""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Arrays", "BestWeights", "Checkpoint", "decode", "delete", "encode", "read", "write"]

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


def write(content: bytes, uri: str) -> None:
    """Write a file so that it is durable, and complete if it is there at all, when this returns."""
    path = _local(uri)
    if path is None:
        import fsspec

        fs, remote = fsspec.core.url_to_fs(uri)
        fs.makedirs(remote.rsplit("/", 1)[0], exist_ok=True)
        fs.pipe_file(remote, content)  # object stores show a file only when it is complete
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(uri: str) -> bytes:
    """A checkpoint file's content.

    Raises:
        FileNotFoundError: it is not there.
    """
    path = _local(uri)
    if path is not None:
        return path.read_bytes()
    import fsspec

    with fsspec.open(uri, "rb") as file:
        content: bytes = file.read()
    return content


def delete(uri: str) -> None:
    """Remove a checkpoint or model file if it is there."""
    path = _local(uri)
    if path is not None:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # the folder goes with its last file
            path.parent.rmdir()
        return
    import fsspec

    fs, remote = fsspec.core.url_to_fs(uri)
    if fs.exists(remote):
        fs.rm(remote)


def _local(uri: str) -> Path | None:
    return None if "://" in uri else Path(uri)
