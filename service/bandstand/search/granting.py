"""What users ask of a study that exists: more budget, a trial with params of theirs. Each is taken once.

Knows what a request changes, and when it lets an ended study go on. Must not know where requests come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bandstand.problem.budget import Budget
from bandstand.search.state import SearchState
from bandstand.strategies import strategy_name
from bandstand.trials.events import Enqueued, Extended, Reopened
from bandstand.trials.ledger import extended

__all__ = ["Granting"]


class Granting:
    """The requests of one study."""

    def __init__(self, state: SearchState):
        """For the study that stands there."""
        self._state = state

    def extend(self, request: int, wanted: Budget, by: str | None = None) -> str | None:
        """Raise what the study may spend; a finished one goes on. The strategy's spec stays as it was.

        Args:
            request: its number; the same one again changes nothing.
            wanted: new totals of limits that the study has.
            by: who asks.

        Returns:
            Why it is refused; None where it is granted.
        """
        if request in self._state.history.requests:
            return None
        try:
            budget = extended(self._state.history.ledger.budget, wanted)
        except ValueError as error:
            return str(error)
        self._state.record(Extended(request=request, budget=budget.model_dump(exclude_none=True), by=by))
        self._go_on()
        return None

    def enqueue(self, request: int, params: Mapping[str, Any], by: str | None = None) -> str | None:
        """Have these params tried before anything new that the strategy wants, as soon as the budget has room.

        Args and Returns: as `extend`; `params` are a point of the space.
        """
        if request in self._state.history.requests:
            return None
        if self._state.strategy.closed:
            name = strategy_name(self._state.spec.sampler, self._state.spec.pruner)
            return f"{name} takes no enqueued trials: {self._state.strategy.closed}"
        try:
            self._state.spec.space.check(params)
        except ValueError as error:
            return str(error)
        self._state.record(Enqueued(request=request, params=params, by=by))
        self._go_on()
        return None

    def _go_on(self) -> None:
        """Let a finished study go on, if it has the means to. A failed one goes on when somebody runs it again."""
        ended, ledger = self._state.history.ended, self._state.history.ledger
        if ended is not None and not ended.failed and not ledger.time_is_up and ledger.room_for_new_trial:
            self._state.record(Reopened(forgotten=True))
