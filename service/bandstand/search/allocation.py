"""Giving out work: what a free worker trains, and how far the budget lets it.

Knows the strategy's steps and the budget. Must not know how a trial is judged.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from bandstand.search.endings import Endings
from bandstand.search.protocol import Assignment
from bandstand.search.state import SearchState
from bandstand.strategies.randomness import trial_seed
from bandstand.strategies.strategy import Promotion, Proposal, Retirement, Step
from bandstand.trials.events import Promoted, Proposed, Started
from bandstand.trials.history import Trial
from bandstand.trials.ledger import takes_a_trial

__all__ = ["Allocation"]


class Allocation:
    """The work of one study, as it is given out."""

    def __init__(self, state: SearchState, endings: Endings):
        """For the study that stands there; `endings` end what the strategy retires."""
        self._state = state
        self._endings = endings

    def next(self, preferred: Container[int] = (), worker: str | None = None) -> Assignment | None:
        """As `Search.next`."""
        if self._state.halting or self._state.history.ledger.time_is_up:
            return None
        self._let_overtake()
        while not self._state.history.waiting:
            if not self._take_step():
                return None
        trial = self._choose(preferred)
        attempt, from_epoch = trial.attempt + 1, trial.checkpoint_epoch
        self._state.record(Started(trial=trial.number, attempt=attempt, from_epoch=from_epoch, worker=worker))
        source = trial.number if trial.has_own_checkpoint else trial.parent
        return Assignment(
            trial=trial.number,
            attempt=trial.attempt,
            params=trial.params,
            seed=trial_seed(self._state.spec.seed, trial.number),
            from_epoch=trial.checkpoint_epoch,
            until_epoch=trial.granted,
            checkpoint_of=source if trial.checkpoint_epoch else None,
            weights=trial.weights,
            first_epoch=trial.from_epoch + 1,
            learning_rates=trial.learning_rates,
        )

    def _choose(self, preferred: Container[int]) -> Trial:
        """The waiting trial to give out: one that a user wants tried, else a preferred one, else one that has begun."""
        trials = self._state.history.trials

        def goes_before(number: int) -> tuple[bool, bool, bool]:
            trial = trials[number]
            return trial.request is not None, number in preferred, trial.attempt > 0

        return trials[max(self._state.history.waiting, key=goes_before)]  # of equals the one that waits for longest

    def _let_overtake(self) -> None:
        """Where nothing but foreseen trials waits, do first what is worth more than they are."""
        strategy, history = self._state.foreseeing, self._state.history
        if strategy is None:
            return
        while (
            history.ledger.epochs_left > 0
            and history.waiting
            and all(self._is_foreseen(history.trials[number]) for number in history.waiting)
        ):
            # There is something new to try, whatever the budget has left for more.
            step = self._enqueued() or strategy.overtaking(replace(self._state.situation, may_propose=True))
            if step is None:
                return
            self._take(step)

    @staticmethod
    def _is_foreseen(trial: Trial) -> bool:
        return not trial.attempt and trial.request is None

    def look_ahead(self, number: int) -> None:
        """As `Search.look_ahead`."""
        strategy = self._state.foreseeing
        while strategy is not None and len(self._state.history.waiting) < number and self._may_look_ahead(number):
            proposal = self._enqueued() or strategy.foresee(self._state.situation)
            if proposal is None:
                return
            self._propose(proposal)

    def _may_look_ahead(self, number: int) -> bool:
        """Whether the next trial of a strategy that foresees it waits for nothing but a worker."""
        state, budget = self._state, self._state.history.ledger.budget
        if state.halting or not state.situation.may_propose:
            return False
        if budget.wall_seconds is not None or budget.gpu_hours is not None:
            return False  # time may be up before it is begun
        # What is booked for trials that wait must not be missing where one that runs asks for more.
        most = (len(state.history.running) + number + 1) * state.spec.max_epochs
        return budget.epochs is None or state.history.ledger.epochs_left >= most

    def _take_step(self) -> bool:
        """Do the next thing that the strategy wants, if there is one and the budget has room for it."""
        if self._state.exhausted or self._state.history.ledger.epochs_left <= 0:
            return False
        step = self._enqueued() or self._state.strategy.step(self._state.situation)
        if step is None:
            self._state.exhausted = True
            return False
        self._take(step)
        return True

    def _enqueued(self) -> Proposal | None:
        """The trial that a user asked for first, where the strategy can take it now and the budget has room."""
        state = self._state
        wish = next(iter(state.history.enqueued.values()), None)
        if wish is None or not state.situation.may_propose:
            return None
        proposal = state.strategy.adopt(wish.params, state.situation.number)
        if proposal is None:
            return None
        origin = f"enqueued by {wish.by}" if wish.by else "enqueued"
        return replace(proposal, origin=origin, request=wish.request)

    def _take(self, step: Step) -> int:
        """Do a step; returns the number of the trial it is about."""
        if isinstance(step, Proposal):
            return self._propose(step)
        trial = self._state.history.trials[step.trial]
        if isinstance(step, Promotion):
            granted = self._state.granted(trial, trial.epochs)
            self._state.record(Promoted(trial=trial.number, granted=granted, reason=step.reason))
        else:
            self._endings.retire(step)
        return trial.number

    def wanted(self) -> Step | None:
        """What the strategy would do for a free worker now, for whoever directs the study."""
        if self._state.halting or self._state.history.ledger.time_is_up or self._state.history.ledger.epochs_left <= 0:
            return None
        return self._state.strategy.step(self._state.situation)

    def direct(self, step: Step) -> int | None:
        """Do what somebody outside has decided, for a strategy that leaves it to them.

        Args:
            step: about a trial that no worker has.

        Returns:
            The number of the trial it is about; None where nothing may be granted any more.
        """
        ledger = self._state.history.ledger
        if self._state.halting or ledger.time_is_up:
            return None
        if not isinstance(step, Retirement) and ledger.epochs_left <= 0:
            return None
        if isinstance(step, Proposal) and takes_a_trial(step.parent) and not ledger.room_for_new_trial:
            return None
        return self._take(step)

    def _propose(self, proposal: Proposal) -> int:
        """Make a new trial; returns its number."""
        number = len(self._state.history.trials)
        draft = Trial(
            number=number,
            params=proposal.params,
            bracket=proposal.bracket,
            granted=0,
            parent=proposal.parent,
            from_epoch=proposal.from_epoch,
            learning_rates=proposal.learning_rates,
        )
        self._state.record(
            Proposed(
                trial=number,
                params=proposal.params,
                bracket=proposal.bracket,
                granted=self._state.granted(draft, proposal.from_epoch),
                parent=proposal.parent,
                from_epoch=proposal.from_epoch,
                weights=proposal.weights,
                learning_rates=proposal.learning_rates,
                origin=proposal.origin,
                request=proposal.request,
            )
        )
        return number
