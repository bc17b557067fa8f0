"""What trainers and the coordinator tell each other.

Its own module because whoever unpickles a message imports it, and the coordinator must not import Keras.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bandstand.search.protocol import Measurement, Verdict
from bandstand.trials.code_fingerprint import CodePrint
from bandstand.trials.data_fingerprint import DataPrint
from bandstand.trials.events import Action

__all__ = ["CheckpointRefusal", "EpochLink", "Failure", "Inputs", "MemoryWord", "Outcome", "TrialUnwantedError"]


class TrialUnwantedError(Exception):
    """Nobody wants this training any more: its coordinator is gone, or has given the trial to another attempt."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What a trainer trains with."""

    data: DataPrint
    code: CodePrint
    remarks: tuple[str, ...]  # on data and code, of which the study tells its user


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """What a training raised."""

    kind: str  # a word: exception, out_of_memory, …
    message: str  # one line for people
    cause: str  # equal for failures that have the same one, such as the place of the exception
    detail: str  # the traceback
    place: str | None = None  # `file:line` of the user's code
    asked_bytes: int | None = None  # of memory, when it ran out
    on_gpu: bool = False  # whose memory that is
    parameters: int | None = None  # of the model that was too large, where it could be counted
    crowded: bool = False  # others may have taken the memory that it lacked


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryWord:
    """That a process that trains is near the end of its memory, or of the machine's."""

    used_bytes: int  # its resident set
    limit_bytes: int
    machine: bool  # the limit is the machine's
    parameters: int | None  # of the model, where it is built
    crowded: bool  # as of a `Failure`


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointRefusal:
    """Why the checkpoint that an assignment was to begin from cannot be used; nothing was trained then."""

    reason: str  # for people
    cause: str  # equal for checkpoints that cannot be used for the same reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How an assignment ended: by an answer, by a failure, or before it began."""

    action: Action | None = None  # the answer that ended it; None where none did
    failure: Failure | None = None
    refusal: CheckpointRefusal | None = None
    paused_at: int = 0  # with PAUSE: the epoch whose checkpoint is being written
    model_uri: str | None = None
    model_epoch: int = 0  # of the trial, whose weights that model has
    end_uri: str | None = None  # with STOP: the checkpoint of its last epoch, where one was wanted
    program_signature: str | None = None  # of the compiled program that trained it
    reason_for_fit: str | None = None  # why `fit` trained it, where a compiled epoch was wanted
    unkept: tuple[str, ...] = ()  # `Callback.attribute` that its checkpoints could not hold
    defaulted: tuple[str, ...] = ()  # `name = default` of what the builder asked for beyond the space
    notes: tuple[str, ...] = ()  # what the user should know of the study, said once
    memory_bytes: int = 0  # resident set of this process afterwards
    parameters: int | None = None  # of the trial's model, where they could be counted
    node: str = ""  # where that process is


class EpochLink(Protocol):
    """Where a training tells what happens."""

    def report(self, measurement: Measurement, *, wait: bool) -> Verdict | None:
        """Report an epoch; with `wait` the answer to it, else the latest answer that has come, or None.

        Raises:
            TrialUnwantedError: nobody wants the answer.
        """
        ...

    def checkpointed(self, epoch: int, uri: str, error: str | None) -> None:
        """A checkpoint is durable, or could not be written: `error` says why.

        Called from the thread that wrote it; does not wait.
        """
        ...
