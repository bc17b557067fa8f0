"""The Keras callbacks that make a `fit` a trial: seeds per epoch, and reports that may end it.

Knows Keras's callback order. Must not know how a report travels.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from bandstand.problem.objective import Objective
from bandstand.search.protocol import Measurement, Verdict
from bandstand.trials.best import epoch_counts
from bandstand.trials.events import Action
from bandstand_workers.messages import EpochLink
from bandstand_workers.programs.logs import check_names, numbers_of
from bandstand_workers.programs.overriding import overrides
from bandstand_workers.training.checkpoints import Arrays, BestWeights, Checkpoint
from bandstand_workers.training.checkpoints.callback_state import BegunCallback
from bandstand_workers.training.trial_models import model_state
from bandstand_workers.training.user_code.callback_files import goes_on_by_its_files

__all__ = ["FollowLearningRates", "KeepEvaluated", "ReportEpochs", "SeedEpochs"]

_CHECKPOINT_SECONDS = 30.0
"""Where the study does not say: a checkpoint at the first epoch end after this much training."""


class SeedEpochs(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """First in the list: whatever draws from Python's or NumPy's generators in an epoch draws the same when resumed."""

    def __init__(self, seed: int):
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Seed both from (trial seed, epoch)."""
        state = np.random.SeedSequence([self._seed, epoch]).generate_state(2)
        random.seed(int(state[0]))
        np.random.seed(int(state[1]))


class FollowLearningRates(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Sets the learning rate of each epoch where the study's strategy says it; before the user's callbacks."""

    def __init__(self, rates: Sequence[float], first_epoch: int):
        """`rates[0]` is for `first_epoch`, counted from 1. Other epochs are left alone."""
        super().__init__()
        self._rates = rates
        self._first_epoch = first_epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the epoch's learning rate.

        Raises:
            TypeError: from Keras, where the optimizer follows a schedule of its own.
        """
        index = epoch + 1 - self._first_epoch
        if 0 <= index < len(self._rates):
            self.model.optimizer.learning_rate = self._rates[index]


class KeepEvaluated(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """First in the list: sees an epoch's end before the user's callbacks, which may change the weights then."""

    def __init__(self, report: ReportEpochs):
        """`report` is told at each epoch's end, before any other callback."""
        super().__init__()
        self._report = report

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Have the weights kept that were evaluated."""
        self._report.keep_evaluated(logs or {})


class ReportEpochs(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Last in the list: reports each epoch when all other callbacks have seen it, and stops as it is told.

    It stops by `model.stop_training`, never by raising, so that every other callback still gets its `on_train_end`.
    After `fit`, `verdict` is the answer that ended it, or None where the deadline did; `end` is the state of the last
    epoch, where that answer asks for it. `unkept` are the attributes for which callbacks will begin anew where the
    trial is resumed.
    """

    def __init__(
        self,
        *,
        link: EpochLink,
        objective: Objective,
        user_callbacks: list[Any],
        resume: Checkpoint | None,
        until_epoch: int,
        max_epochs: int,
        checkpoint_every: int | None,
        save_checkpoint: Callable[[Checkpoint], None],
        deadline: float | None,
    ):
        super().__init__()
        self.verdict: Verdict | None = None
        self.best = resume.best if resume else BestWeights()
        self.end: Checkpoint | None = None
        self.epochs = resume.epoch if resume else 0
        self.unkept: set[str] = set()
        self._link = link
        self._objective = objective
        self._user_callbacks = user_callbacks
        self._begun: list[BegunCallback] = []
        self._resume = resume
        self._until_epoch = until_epoch
        self._max_epochs = max_epochs
        self._checkpoint_every = checkpoint_every
        self._save_checkpoint = save_checkpoint
        self._deadline = deadline
        self._cut = False
        self._pause_wanted = False
        self._checkpointed_at = time.monotonic()
        self._began_at = 0.0
        self._swaps_weights = any(map(_acts_on_tests, user_callbacks))
        self._evaluated: Arrays | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Restore here and not before `fit`: other callbacks reset themselves in their own `on_train_begin`."""
        self._begun = [BegunCallback(callback) for callback in self._user_callbacks]
        if self._resume is not None:
            model_state.restore(self._resume, self.model, self._user_callbacks)
            self._resume = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note the time."""
        self._began_at = time.monotonic()

    def on_test_begin(self, logs: Any = None) -> None:
        """Keep the weights that are evaluated, where a callback may have put others there by the epoch's end."""
        if self._swaps_weights:
            self._evaluated = self.model.get_weights()

    def keep_evaluated(self, logs: Mapping[str, Any]) -> None:
        """Keep the weights of an epoch that is the best so far, as they are before other callbacks see its end."""
        value = numbers_of(logs).get(self._objective.metric)
        if not self._swaps_weights and value is not None and self._is_best(value):
            self._evaluated = self.model.get_weights()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """At the deadline the epoch ends where it is; it will not be reported."""
        if self.is_out_of_time():
            self._cut = True
            self.model.stop_training = True

    @property
    def has_deadline(self) -> bool:
        """Whether the study's time is limited."""
        return self._deadline is not None

    def is_out_of_time(self) -> bool:
        """Whether the deadline has passed; what ends after it is not reported."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report; keep the best weights; make a checkpoint where the answer or the time asks for one."""
        if self._cut or self.is_out_of_time():
            self._cut = self.model.stop_training = True  # cut in its batches, or its validation took too long
            return
        seconds = time.monotonic() - self._began_at
        self.epochs = epoch + 1
        metrics = numbers_of(logs)
        check_names(metrics)
        healthy = epoch_counts(metrics.get(self._objective.metric), metrics)
        if healthy:
            self._keep_if_best(metrics[self._objective.metric])
        self._evaluated = None
        ended_itself = bool(self.model.stop_training) and self.epochs < self._max_epochs
        wait = self.epochs >= self._until_epoch or ended_itself or not healthy or self._pause_wanted
        measurement = Measurement(
            epoch=self.epochs,
            metrics=metrics,
            seconds=seconds,
            learning_rate=self._learning_rate(),
            ended="early_stopping" if ended_itself else None,
        )
        self._obey(self._link.report(measurement, wait=wait), wait, seconds)
        if self.verdict is not None and self.verdict.keep_end:
            self.end = self._capture()
        pauses = self.verdict is not None and self.verdict.action is Action.PAUSE
        if pauses or (healthy and self.verdict is None and self._checkpoint_due()):
            self._make_checkpoint()

    def _obey(self, verdict: Verdict | None, waited: bool, epoch_seconds: float) -> None:
        if verdict is not None and verdict.action is Action.CONTINUE:
            self._until_epoch = verdict.until_epoch
        elif verdict is not None and (waited or verdict.action is Action.STOP):
            self.verdict = verdict
            self.model.stop_training = True
            return
        elif verdict is not None:
            self._pause_wanted = True  # the answer came late: the next epoch asks again, and pauses
        if self._deadline is not None and time.monotonic() + epoch_seconds > self._deadline:
            self._cut = True  # another epoch would not end in time
            self.model.stop_training = True

    def _keep_if_best(self, value: float) -> None:
        if self._is_best(value):
            weights = self.model.get_weights() if self._evaluated is None else self._evaluated
            self.best = BestWeights(loss=self._objective.sign * value, epoch=self.epochs, weights=weights)

    def _is_best(self, value: float) -> bool:
        return self._objective.epoch == "last" or self._objective.sign * value < self.best.loss

    def _checkpoint_due(self) -> bool:
        if self._checkpoint_every is not None:
            return self.epochs % self._checkpoint_every == 0
        return time.monotonic() - self._checkpointed_at >= _CHECKPOINT_SECONDS

    def _make_checkpoint(self) -> None:
        self._save_checkpoint(self._capture())
        self._checkpointed_at = time.monotonic()

    def _capture(self) -> Checkpoint:
        checkpoint = model_state.capture(self.model, self.epochs, self._begun, self.best)
        self.unkept |= {
            state.obstacle
            for state, begun in zip(checkpoint.callbacks, self._begun, strict=True)
            if state.obstacle is not None and not goes_on_by_its_files(begun.callback)
        }
        return checkpoint

    def _learning_rate(self) -> float | None:
        rate = getattr(self.model.optimizer, "learning_rate", None)
        try:
            return None if rate is None else float(keras.ops.convert_to_numpy(rate))
        except (TypeError, ValueError):
            return None  # an optimizer that keeps something else under this name


def _acts_on_tests(callback: Any) -> bool:
    """Whether a callback does anything around an evaluation, such as Keras's `SwapEMAWeights`."""
    return overrides(callback, keras.callbacks.Callback, "on_test_begin", "on_test_end")
