"""Setbacks of trials: a training that raised, a worker that died, a checkpoint that cannot be used.

Knows when a trial is begun again, and when it ends. Must not know how a setback was noticed.
"""

from __future__ import annotations

from bandstand.search.endings import Endings
from bandstand.search.state import SearchState
from bandstand.trials.broken_study import HOPELESS, PARENT_CHECKPOINT
from bandstand.trials.events import Action, CheckpointRefused, Lost, TrialState
from bandstand.trials.history import Trial

__all__ = ["Setbacks"]


class Setbacks:
    """The setbacks of one study's trials."""

    def __init__(self, state: SearchState, endings: Endings):
        """For the study that stands there."""
        self._state = state
        self._endings = endings

    def fail(
        self,
        trial_number: int,
        attempt: int,
        kind: str,
        message: str,
        *,
        signature: str | None = None,
        detail: str | None = None,
    ) -> None:
        """As `Search.fail`."""
        trial = self._state.current(trial_number, attempt)
        if kind == HOPELESS and trial.parent is not None:
            before = self._state.history.trials[trial.parent].params
            changed = [name for name, value in trial.params.items() if before.get(name) != value]
            message = f"{message} (changed here: {', '.join(changed)})"
        self._endings.end(trial, TrialState.FAILED, kind, message, signature=signature or kind, detail=detail)

    def lost(
        self, trial_number: int, attempt: int, reason: str, *, blamed: bool = True, kind: str = "worker_died"
    ) -> None:
        """As `Search.lost`."""
        trial = self._state.history.trials[trial_number]
        if trial.state is not TrialState.RUNNING or trial.attempt != attempt:
            return
        self._state.record(Lost(trial=trial_number, attempt=attempt, reason=reason, blamed=blamed))
        if trial.action is Action.STOP and not self._is_wanted(trial):
            self._endings.end_as_decided(trial)
        elif trial.lost >= self._state.spec.max_attempts:
            message = f"its worker died {_times(trial.lost)} (the last reason: {reason})"
            if kind != "worker_died":
                message = reason if trial.lost == 1 else f"{reason}; its worker was ended {_times(trial.lost)}"
            self._endings.end(trial, TrialState.FAILED, kind, message, signature=kind)

    def refuse_checkpoint(self, trial_number: int, attempt: int, reason: str) -> str:
        """As `Search.refuse_checkpoint`."""
        trial = self._state.current(trial_number, attempt)
        is_own = trial.has_own_checkpoint
        source = trial_number if is_own or trial.parent is None else trial.parent
        self._state.record(CheckpointRefused(trial=source, epoch=trial.checkpoint_epoch, reason=reason))
        if trial.action is Action.STOP and not (is_own and self._is_wanted(trial)):
            self._endings.end_as_decided(trial)  # nothing more is wanted of it
            return f"trial {trial_number} was about to stop, and ends"
        if not is_own:
            message = f"it could not start from the checkpoint of trial {source}: {reason}"
            self._endings.end(trial, TrialState.FAILED, PARENT_CHECKPOINT, message, signature=PARENT_CHECKPOINT)
            return f"trial {trial_number} needed it and ends; another trial may replace it"
        if trial.refused >= self._state.spec.max_attempts:
            message = f"its checkpoints could not be used {_times(trial.refused)} (the last reason: {reason})"
            self._endings.end(trial, TrialState.FAILED, "checkpoint", message, signature="checkpoint")
            return f"trial {trial_number} fails because this happened {_times(trial.refused)}"
        self._state.record(Lost(trial=trial_number, attempt=attempt, reason=reason, blamed=False))
        begin = f"epoch {trial.from_epoch} of trial {trial.parent}" if trial.from_epoch else "its first epoch"
        return f"trial {trial_number} starts again from {begin}"

    def _is_wanted(self, trial: Trial) -> bool:
        """Whether more than its end is wanted of a trial that was told to stop, and whose worker then died: its model.

        Of one that was judged worse only where it is the best all the same, and not for ever.
        """
        if trial.completes:
            return True
        return trial.lost < self._state.spec.max_attempts and self._state.history.would_be_best(trial, trial.ends_as)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
