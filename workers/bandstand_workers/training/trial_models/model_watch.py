"""Notices callbacks that change a model in Python at a time when a resumed trial would see it and a whole one not.

Knows when `fit` traces a model. Must not know programs, nor who trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from bandstand_workers.programs.constants import Slot
from bandstand_workers.programs.overriding import overrides
from bandstand_workers.programs.python_state.reading import read_python_state

__all__ = ["WatchModel"]

_HOOKS = (
    "on_epoch_begin",
    "on_epoch_end",
    "on_test_begin",
    "on_test_end",
    "on_train_batch_begin",
    "on_train_batch_end",
)


class WatchModel(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Last in the list, after what restores a checkpoint.

    `fit` traces a model at its first step and never looks at its Python again. So what a callback sets in the first
    epoch's beginning counts, and what it sets later does not, until the trial is resumed: then a new `fit` traces the
    model as it is by then, and without what the first epoch had set.
    """

    def __init__(self, user_callbacks: Sequence[Any], epochs_done: int, slots: Sequence[Slot] = ()):
        """For callbacks that act on epochs; where there are none, nothing is looked at.

        Args:
            user_callbacks: the user's.
            epochs_done: before this training.
            slots: attributes of the model that its program reads from variables.
        """
        super().__init__()
        self._looks = any(overrides(each, keras.callbacks.Callback, *_HOOKS) for each in user_callbacks)
        self._epochs_done = epochs_done
        self._slots = slots
        self._begun: str | None = None  # digest
        self._stepped: str | None = None  # likewise
        self._first_epoch_changed = self._changed_later = False

    def may_differ(self, *, goes_on: bool) -> bool:
        """Whether a trial that is resumed may differ from one that is not, because callbacks have changed the model.

        Args:
            goes_on: whether the trial will be resumed.
        """
        resumed = self._epochs_done > 0
        return self._changed_later or (self._first_epoch_changed and (goes_on or resumed))

    def on_train_begin(self, logs: Any = None) -> None:
        """What is set here is set again where the trial is resumed."""
        self._begun = self._digest()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """What is set here counts in the first epoch of a `fit` only."""
        if epoch == self._epochs_done:
            self._first_epoch_changed = self._digest() != self._begun

    def on_test_begin(self, logs: Any = None) -> None:
        """After the first epoch's steps, which make what a model lacks, and before the user's code sees its end."""
        if self._stepped is None:
            self._stepped = self._digest()

    def on_train_end(self, logs: Any = None) -> None:
        """What has been set since then, nothing that was traced has seen."""
        self._changed_later = self._stepped is not None and self._digest() != self._stepped

    def _digest(self) -> str | None:
        """Of all that is understood of the model: if it differs, something has changed. None where nobody looks."""
        return read_python_state(self.model, self._slots).digest if self._looks else None
