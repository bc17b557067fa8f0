"""What Search and whoever drives it say to each other.

Knows the words. Must not know who decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bandstand.trials.events import Action

__all__ = ["Assignment", "Measurement", "StaleAttemptError", "Verdict"]


class StaleAttemptError(Exception):
    """A worker spoke of an attempt that is not the trial's current one; it should drop the trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """Train trial `trial` with `params`, from the checkpoint at `from_epoch`, up to `until_epoch`, then ask."""

    trial: int
    attempt: int
    params: Mapping[str, Any]
    seed: int
    from_epoch: int  # 0: from fresh weights
    until_epoch: int
    checkpoint_of: int | None = None  # the trial whose checkpoint at from_epoch it begins from; None: fresh weights
    weights: str = "last"  # of a parent's checkpoint; see event `Proposed`
    first_epoch: int = 1  # of the trial's own epochs
    learning_rates: tuple[float, ...] = ()  # of the trial's own epochs, from `first_epoch`; empty: as the builder says


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """What an epoch of a trial measured."""

    epoch: int  # counted from 1
    metrics: Mapping[str, float]  # every key of the epoch's logs
    seconds: float | None = None  # duration, validation included
    learning_rate: float | None = None  # the optimizer's, at the end of the epoch
    ended: str | None = None
    """Why the training ended by itself, if it did: `early_stopping` for the user's own callbacks, `budget` at a
    deadline. Such a measurement may repeat the latest epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """The answer to a report. With CONTINUE the trial trains on to `until_epoch`, then asks again."""

    action: Action
    until_epoch: int
    keep_epoch: int = 0  # with STOP: the trial is the best that has ended; its model of this epoch is wanted
    keep_end: bool = False  # with STOP: a checkpoint of its last epoch is wanted
