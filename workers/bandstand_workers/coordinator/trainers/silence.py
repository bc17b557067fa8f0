"""How long trials may train without a word, and which have taken longer.

Knows when each trial was last heard of, what the study allows, and since when nothing may train any more. Must not know
trainers, nor what becomes of a trial that is silent for too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Overdue", "Silence"]

_FIRST_SECONDS = 6 * 3600.0
"""The limit where the study sets none, as long as no epoch has ended, so that nothing is known of their length."""
_LEAST_SECONDS = 600.0
_FACTOR = 20.0
"""Where the study sets no limit: so many times the longest silence so far, but `_LEAST_SECONDS` at least."""
_WARNED_AT = 0.2
"""The share of the limit after which users are told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overdue:
    """A trial that has been silent for too long."""

    trial: int
    reason: str
    """For people."""
    blamed: bool
    """Whether the trial itself may be the reason, so that it counts towards `max_attempts`."""


class Silence:
    """The silence of one study's trials, each from its beginning or its latest epoch on."""

    def __init__(self, limit_seconds: float | None, clock: Callable[[], float] = time.monotonic):
        """Nothing trains yet.

        Args:
            limit_seconds: the study's `epoch_seconds`; None for a limit that follows from its own epochs.
            clock: tells seconds.
        """
        self._limit = limit_seconds
        self._clock = clock
        self._since: dict[int, float] = {}
        self._longest: float | None = None
        self._told: set[int] = set()
        self._over: tuple[float, str] | None = None  # since when nothing may train any more, and why

    @property
    def limit_seconds(self) -> float:
        """How long a trial may be silent now."""
        if self._limit is not None:
            return self._limit
        return _FIRST_SECONDS if self._longest is None else max(_LEAST_SECONDS, _FACTOR * self._longest)

    def begins(self, trial: int) -> None:
        """A trainer begins with it."""
        self._since[trial] = self._clock()
        self._told.discard(trial)

    def heard(self, trial: int) -> None:
        """An epoch of it has ended."""
        if trial in self._since:
            now = self._clock()
            self._longest = max(self._longest or 0.0, now - self._since[trial])
            self._since[trial] = now
            self._told.discard(trial)

    def ends(self, trial: int) -> None:
        """It trains no longer."""
        self._since.pop(trial, None)

    def over(self, reason: str | None, grace_seconds: float) -> None:
        """Nothing may train any more, for this reason for people, but to the end of its epoch; None: it may again."""
        if reason is None:
            self._over = None
        elif self._over is None or self._over[1] != reason:
            self._over = self._clock() + grace_seconds, reason

    def overdue(self) -> list[Overdue]:
        """The trials that are to be ended."""
        now, found = self._clock(), []
        for trial, since in self._since.items():
            if self._over is not None and now >= self._over[0]:
                found.append(Overdue(trial=trial, reason=self._over[1], blamed=False))
            elif now - since >= self.limit_seconds:
                reason = f"it finished no epoch within {self.limit_seconds:.0f} s (epoch_seconds)"
                found.append(Overdue(trial=trial, reason=reason, blamed=True))
        return found

    def warnings(self) -> list[str]:
        """What users should know before a trial is ended for its silence; each once."""
        now, limit, found = self._clock(), self.limit_seconds, []
        for trial, since in self._since.items():
            if trial not in self._told and now - since >= max(_WARNED_AT * limit, min(limit / 2, 10.0)):
                self._told.add(trial)
                found.append(
                    f"trial {trial} has finished no epoch for {now - since:.0f} s. It is ended after {limit:.0f} s; "
                    "the setting epoch_seconds changes this limit"
                )
        return found
