"""What trainers and the coordinator tell each other.

Its own module because whoever unpickles a message imports it, and the coordinator must not import Keras.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bandstand.search.protocol import Measurement, Verdict
from bandstand.trials.events import Action

__all__ = ["EpochLink", "Outcome", "WorkerGoneError"]


class WorkerGoneError(Exception):
    """Whoever would take this training's reports is gone, or has given the trial to somebody else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How an assignment ended."""

    action: Action | None = None  # the answer that ended it; None: it failed
    paused_at: int = 0  # with PAUSE: the epoch whose checkpoint is being written
    model_uri: str | None = None
    model_epoch: int = 0  # of the trial, whose weights that model has
    end_uri: str | None = None  # with STOP: the checkpoint of its last epoch, where one was wanted
    signature: str = ""  # of the compiled program that trained it
    reason_for_fit: str = ""  # why `fit` trained it, where a compiled epoch was wanted
    unkept: tuple[str, ...] = ()  # `Callback.attribute` that its checkpoints could not hold
    refused: str = ""  # why the checkpoint that it was to begin from cannot be used; nothing was trained then
    defaulted: tuple[str, ...] = ()  # `name = default` of what the builder asked for beyond the space
    notes: tuple[str, ...] = ()  # what the user should know of the study, said once
    kind: str = ""  # of a failure: exception, out_of_memory
    message: str = ""
    cause: str = ""  # equal for failures, or checkpoints, that have the same one
    detail: str = ""
    memory_bytes: int = 0  # resident set of this process afterwards


class EpochLink(Protocol):
    """Where a training tells what happens."""

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict | None:
        """Report an epoch; with `wait` the answer to it, else the latest answer that has come, or None.

        Raises:
            WorkerGoneError: nobody wants the answer.
        """
        ...

    def checkpointed(self, epoch: int, uri: str, error: str) -> None:
        """A checkpoint is durable, or could not be written. Called from the thread that wrote it; does not wait."""
        ...
