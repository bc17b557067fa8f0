"""Which checkpoints nobody needs any more.

Knows the trials that may have any. Must not know where they are, nor when they are removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from bandstand.search.search import Search
from bandstand.trials.events import Checkpointed, CheckpointRefused, Ended, Event

__all__ = ["CheckpointSweep"]

_LOOKED_AT_AGAIN = 20
"""Trials that nothing happened to and that are looked at all the same, those first that were not for the longest time.

A trial's checkpoint may be needed no more because of what became of another one: a better best trial, a bandit that
closed its configuration. To look at all of them each time would take longer the longer the study is.
"""


class CheckpointSweep:
    """Follows a study's events; what a predecessor left behind is found little by little."""

    def __init__(self, search: Search):
        self._search = search
        self._needed: dict[int, set[int] | None] = {
            trial.number: None for trial in search.history.trials if trial.has_own_checkpoint
        }
        """By trial with checkpoints, those that were needed when it was last looked at; None: it was not yet."""

    def due(self, events: Sequence[Event]) -> dict[int, set[int]]:
        """The trials of which checkpoints may go once these events are stored, and the epochs of those that must stay.

        To be asked before anything else is decided: what a later event makes superfluous is needed if that one is lost.
        """
        touched: dict[int, None] = {}
        for event in events:
            if isinstance(event, Checkpointed):
                self._needed[event.trial] = None
            if isinstance(event, Checkpointed | CheckpointRefused | Ended):
                parent = self._search.history.trials[event.trial].parent
                touched |= {event.trial: None} | ({} if parent is None else {parent: None})
        if not touched:
            return {}
        due = {}
        again = list(islice(self._needed, _LOOKED_AT_AGAIN))
        for trial in dict.fromkeys([*touched, *again]):
            if trial not in self._needed:
                continue
            before, needed = self._needed.pop(trial), self._search.models.needed_checkpoints(trial)
            if needed != before:
                due[trial] = needed
            if needed:
                self._needed[trial] = needed  # behind all others
        return due
