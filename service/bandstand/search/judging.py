"""Answers to reports: whether a trial that has trained an epoch goes on, pauses or stops.

Knows what ends a trial whatever the strategy thinks. Must not know what is given out next.
"""

from __future__ import annotations

from collections.abc import Mapping

from bandstand.search.protocol import Measurement, Verdict
from bandstand.search.state import SearchState
from bandstand.strategies.strategy import Judgement
from bandstand.trials.best import epoch_counts
from bandstand.trials.events import Action, Decided, Measured
from bandstand.trials.history import Trial

__all__ = ["Judging"]

_COMPLETES = ("max_epochs", "early_stopping", "budget")
"""Reasons to stop that do not judge a trial."""


class Judging:
    """The verdicts on one study's trials."""

    def __init__(self, state: SearchState):
        """For the study that stands there."""
        self._state = state

    def report(self, trial_number: int, attempt: int, measurement: Measurement) -> Verdict:
        """As `Search.report`."""
        trial, epoch = self._state.current(trial_number, attempt), measurement.epoch
        if epoch > trial.epochs + 1:
            raise ValueError(f"epochs must come in order; trial {trial_number} has {trial.epochs}, got {epoch}")
        if epoch < trial.epochs and not measurement.ended:  # trained again after a loss: it was answered then
            return Verdict(action=Action.PAUSE if self._state.halting else Action.CONTINUE, until_epoch=trial.granted)
        new = epoch > trial.epochs
        if new:
            measured = Measured(
                trial=trial_number,
                attempt=attempt,
                epoch=epoch,
                value=measurement.metrics.get(self._state.spec.objective.metric),
                metrics=dict(measurement.metrics),
                seconds=measurement.seconds,
                learning_rate=measurement.learning_rate,
            )
            self._state.record(measured)
        if trial.action is not Action.STOP:
            self._decide(trial, measurement.metrics if new else None, measurement.ended)
        keep_epoch, keep_end = 0, False
        if trial.action is Action.STOP:
            combining, history = self._state.combining, self._state.history
            keep_end = trial.completes and combining is not None and combining.keeps_end(trial)
            if history.would_be_best(trial, trial.ends_as):
                keep_epoch = history.result_epoch(trial)
        return Verdict(
            action=trial.action or Action.CONTINUE,
            until_epoch=trial.granted,
            keep_epoch=keep_epoch,
            keep_end=keep_end,
        )

    def _decide(self, trial: Trial, metrics: Mapping[str, float] | None, ended: str | None) -> None:
        """Settle what follows the trial's latest epoch; record it where the trial asked or cannot go on."""
        ending = self._reason_to_end(trial, metrics, ended)
        if ending:
            judgement = Judgement(action=Action.STOP, reason=ending, completes=ending in _COMPLETES)
            granted = trial.epochs
        elif trial.epochs >= trial.granted:
            judgement, granted = self._judgement(trial)
        elif self._state.halting:
            judgement = Judgement(action=Action.PAUSE, reason="the study is being stopped")
            granted = trial.granted
        else:
            return
        self._state.record(
            Decided(
                trial=trial.number,
                attempt=trial.attempt,
                epoch=trial.epochs,
                action=judgement.action,
                granted=granted,
                reason=judgement.reason,
                completes=judgement.completes,
            )
        )

    def _reason_to_end(self, trial: Trial, metrics: Mapping[str, float] | None, ended: str | None) -> str | None:
        """Why the trial cannot go on, whatever the strategy thinks; None if it can. `metrics`: of a new epoch."""
        if metrics is not None:
            value = metrics.get(self._state.spec.objective.metric)
            if value is None:
                return "missing_metric"
            if not epoch_counts(value, metrics):
                return "diverged"
        if trial.epochs >= self._state.spec.max_epochs:
            return "max_epochs"
        if ended:
            return ended
        return "budget" if self._state.history.ledger.time_is_up else None

    def _judgement(self, trial: Trial) -> tuple[Judgement, int]:
        """The strategy's word, and how far the budget lets the trial go."""
        judgement = self._state.strategy.judge(trial)
        if judgement.action is not Action.CONTINUE:
            return judgement, trial.epochs
        granted = self._state.granted(trial, trial.epochs)
        if granted <= trial.epochs:
            return Judgement(action=Action.STOP, reason="budget", completes=True), trial.epochs
        if self._state.halting:
            return Judgement(action=Action.PAUSE, reason=judgement.reason), granted
        return judgement, granted
