"""How trials end, and when and why their study does.

Knows what an end says of a trial. Must not know what is tried next.
"""

from __future__ import annotations

from bandstand.search.state import SearchState
from bandstand.strategies.failures.avoidance import ENOUGH_FAILURES
from bandstand.strategies.strategy import AvoidingStrategy, Retirement
from bandstand.trials.events import Action, Ended, StudyEnded, TrialState
from bandstand.trials.failure_kinds import FAILURE_KINDS, REMEDIES
from bandstand.trials.history import Trial

__all__ = ["Endings"]


class Endings:
    """The ends of one study's trials, and its own."""

    def __init__(self, state: SearchState):
        """For the study that stands there."""
        self._state = state

    @property
    def done(self) -> bool:
        """As `Search.done`."""
        history = self._state.history
        if history.running:
            return False
        if self._state.halting or history.ledger.time_is_up:
            return True
        if history.waiting or history.ledger.room_for_new_trial > 0:
            return not history.waiting and self._state.exhausted
        return history.ledger.epochs_left <= 0 or self._state.strategy.step(self._state.situation) is None

    def conclude(self) -> StudyEnded | None:
        """As `Search.conclude`."""
        state, history = self._state, self._state.history
        if not self.done or state.halting:
            return history.ended
        out_of_ideas = state.exhausted and history.ledger.room_for_new_trial > 0
        for number in list(history.waiting):
            trial = history.trials[number]
            if trial.action is Action.STOP:
                self.end_as_decided(trial)
            else:
                self.end_unjudged(trial, "budget")
        for number in list(history.paused):
            self.retire(state.strategy.at_end(history.trials[number]))
        if history.ended is None:
            failed = not history.has_result
            reason = "the budget is used up"
            if failed:
                cut = any(trial.reason == "budget" for trial in history.trials) or not history.trials
                reason = "the budget was used before any trial had a value" if cut else "every trial failed"
            elif out_of_ideas:
                reason = state.strategy.exhausted
            state.record(StudyEnded(failed=failed, reason=reason))
        return history.ended

    def end_as_decided(self, trial: Trial) -> None:
        """The final state that the last decision means."""
        metric = self._state.spec.objective.metric
        messages = {
            "diverged": f"the loss or {metric} was not finite in epoch {trial.epochs}",
            "missing_metric": f"epoch {trial.epochs} did not report {metric}",
        }
        state = trial.ends_as
        assert trial.reason is not None, "a trial that was told to stop was told why"
        if state is TrialState.FAILED:
            self.end(trial, state, trial.reason, messages[trial.reason], signature=trial.reason)
        else:
            self.end(trial, state, trial.reason)

    def end_unjudged(self, trial: Trial, reason: str) -> None:
        """The trial stops where it is, for a reason that says nothing of its quality."""
        if trial.best_epoch:
            self.end(trial, TrialState.COMPLETE, reason)
        else:
            self.end(trial, TrialState.FAILED, reason, "it ended before its first epoch was complete", signature=reason)

    def end(
        self,
        trial: Trial,
        state: TrialState,
        reason: str,
        message: str | None = None,
        *,
        signature: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Let a trial reach a final state; what it tells of the study may end that, too."""
        number, attempt = trial.number, trial.attempt
        self._state.record(
            Ended(
                trial=number, attempt=attempt, state=state, reason=reason, message=message, signature=signature,
                detail=detail,
            )
        )  # fmt: skip
        if state is TrialState.FAILED and reason in FAILURE_KINDS:
            self._tell_of_avoiding(reason)
        if self._state.history.ended is None and (fault := self._state.history.fault):
            self._state.record(StudyEnded(failed=True, reason=fault))

    def _tell_of_avoiding(self, kind: str) -> None:
        """Say once for each kind of failure that it is learned from now on."""
        strategy, trials = self._state.strategy, self._state.history.trials
        if not (isinstance(strategy, AvoidingStrategy) and strategy.avoids):
            return
        if sum(trial.state is TrialState.FAILED and trial.reason == kind for trial in trials) == ENOUGH_FAILURES:
            self._state.note(
                f"{ENOUGH_FAILURES} trials failed in the same way ({FAILURE_KINDS[kind]}). From now on, params that "
                f"are likely to fail so are drawn again (avoid_failures). To fail less often, {REMEDIES[kind]}"
            )

    def retire(self, retirement: Retirement) -> None:
        """End a paused trial as the strategy wants it."""
        trial = self._state.history.trials[retirement.trial]
        self.end(trial, TrialState.COMPLETE if retirement.completes else TrialState.PRUNED, retirement.reason)
