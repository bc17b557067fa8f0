"""Which checkpoints of a study must stay, and what its model is made of.

Knows the best trials, their children and what a strategy combines. Must not know where files are.
"""

from __future__ import annotations

from bandstand.search.state import SearchState
from bandstand.trials.combination import Combination, sentence_on
from bandstand.trials.events import CheckpointRefused, Combined
from bandstand.trials.history import Trial

__all__ = ["WantedModels"]


class WantedModels:
    """The models of one study."""

    def __init__(self, state: SearchState):
        """For the study that stands there."""
        self._state = state

    @property
    def combination(self) -> Combination | None:
        """What the study wants put together for its result, by what is known so far; None: the best snapshot alone."""
        best = self._state.history.best
        combining = self._state.combining
        return None if combining is None or best is None else combining.combination(best)

    def combined(self, event: Combined) -> None:
        """Settle which model is the study's, and tell the user; once in a study's life."""
        self._state.record(event)
        self._state.note(sentence_on(event, self._state.spec.objective.metric))

    def needed_checkpoints(self, trial_number: int) -> set[int]:
        """The epochs of a trial whose checkpoints somebody may still need."""
        history = self._state.history
        trial = history.trials[trial_number]
        best = history.best, history.best_ended
        children = (history.trials[child] for child in history.children.get(trial_number, ()))
        needed = {child.from_epoch for child in children if not (child.state.is_final or child.has_own_checkpoint)}
        combination = self.combination
        is_part = combination is not None and trial_number in combination.trials
        is_best = any(trial is one for one in best)
        if not trial.state.is_final or is_best or is_part or self._state.strategy.keeps(trial):
            needed.add(trial.checkpoint_epoch)
        return needed

    def give_up_checkpoint(self, reason: str) -> int | None:
        """Do without the checkpoint of a trial that has ended: the worst of those that a strategy may yet go on from.

        What a paused or waiting trial goes on from, the best trial's model, and what is to be combined stay.

        Returns:
            The trial; None if there is none of these.
        """
        candidates = [trial for trial in self._state.history.trials if self._can_be_given_up(trial)]
        if not candidates:
            return None
        objective, value_of = self._state.spec.objective, self._state.history.value_of
        worst = candidates[0]
        for trial in candidates[1:]:
            if objective.is_better(value_of(worst), value_of(trial)):
                worst = trial
        self._state.record(CheckpointRefused(trial=worst.number, epoch=worst.checkpoint_epoch, reason=reason))
        return worst.number

    def _can_be_given_up(self, trial: Trial) -> bool:
        history = self._state.history
        if not trial.state.is_final or not trial.has_own_checkpoint or trial in (history.best, history.best_ended):
            return False
        combination = self.combination
        if combination is not None and trial.number in combination.trials:
            return False
        children = (history.trials[child] for child in history.children.get(trial.number, ()))
        waited_for = any(not (child.state.is_final or child.has_own_checkpoint) for child in children)
        return self._state.strategy.keeps(trial) and not waited_for
