"""How an assignment ended: what a trainer hands back to the coordinator.

Its own module because whoever unpickles an Outcome imports it, and the coordinator must not import Keras.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.events import Action

__all__ = ["Outcome", "WorkerGoneError"]


class WorkerGoneError(Exception):
    """Whoever would take this training's reports is gone, or has given the trial to somebody else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How an assignment ended."""

    action: Action | None = None  # the answer that ended it; None: it failed
    model_uri: str | None = None
    reason_for_fit: str = ""  # why `fit` trained it, where a compiled epoch was wanted
    kind: str = ""  # of a failure: exception, out_of_memory
    message: str = ""
    signature: str = ""
    detail: str = ""
    memory_bytes: int = 0  # resident set of this process afterwards
