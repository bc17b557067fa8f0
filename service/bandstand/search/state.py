"""Where a search stands: the study's history, its strategy, and the events that are not stored yet.

Knows the one way in which anything changes. Must not know why anything does.
"""

from __future__ import annotations

from bandstand.problem.problem import Problem
from bandstand.search.protocol import StaleAttemptError
from bandstand.strategies import Strategy, make_strategy
from bandstand.strategies.strategy import CombiningPolicy, ForeseeingStrategy, Situation
from bandstand.trials.events import Combined, Event, Noticed, Spent, TrialState
from bandstand.trials.history import History, Trial

__all__ = ["SearchState"]

_CHANGES_NO_WORK = frozenset({Spent, Noticed, Combined})
"""Kinds of events after which a strategy that had nothing to do still has nothing."""


class SearchState:
    """What all decisions of one study are made on."""

    def __init__(self, spec: Problem, strategy: Strategy | None = None):
        """Nothing has happened yet."""
        self.spec = spec
        self.history = History(spec)
        self.strategy = strategy or make_strategy(spec)
        self.combining = self.strategy if isinstance(self.strategy, CombiningPolicy) else None
        self.foreseeing: ForeseeingStrategy | None = None
        """The strategy, if its new trials do not depend on what happens before they are proposed."""
        if isinstance(self.strategy, ForeseeingStrategy) and self.strategy.foresees:
            self.foreseeing = self.strategy
        self.exhausted = False
        """The strategy had nothing to do for a free worker, and nothing has happened since."""
        self.stopping = False
        self._outbox: list[Event] = []

    def record(self, event: Event) -> None:
        """Let something happen that is to be stored."""
        self.apply(event)
        self._outbox.append(event)

    def note(self, message: str) -> None:
        """As `Search.note`."""
        if message not in self.history.notices:
            self.record(Noticed(message=message))

    def apply(self, event: Event) -> None:
        """The only way in which anything changes."""
        trial = self.history.apply(event)
        if type(event) not in _CHANGES_NO_WORK:
            self.exhausted = False
        self.strategy.observe(event, trial)

    def take_events(self) -> list[Event]:
        """The events recorded since the last call, oldest first."""
        events, self._outbox = self._outbox, []
        return events

    @property
    def halting(self) -> bool:
        """Whether nothing more is to be given out, whatever the budget has left."""
        return self.stopping or self.history.ended is not None

    @property
    def situation(self) -> Situation:
        """What the strategy is told beside the events."""
        history = self.history
        return Situation(
            number=len(history.trials),
            may_propose=history.ledger.room_for_new_trial > 0,
            idle=not history.running,
        )

    def granted(self, trial: Trial, after_epoch: int) -> int:
        """Up to which epoch a trial may train on: to where it asks next, or as far as the budget goes."""
        return min(self.strategy.next_ask(trial, after_epoch), after_epoch + self.history.ledger.epochs_left)

    def current(self, trial_number: int, attempt: int) -> Trial:
        """The trial that a worker speaks of.

        Raises:
            StaleAttemptError: another attempt has the trial now.
        """
        trial = self.history.trials[trial_number]
        if trial.state is not TrialState.RUNNING or trial.attempt != attempt:
            raise StaleAttemptError(
                f"trial {trial_number} is {trial.state} in attempt {trial.attempt}; got a word of attempt {attempt}"
            )
        return trial
