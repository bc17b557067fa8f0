"""The pair that Tune asks: a Searcher for what to do next, a TrialScheduler for who goes on. Both ask the coordinator.

Knows Tune's contracts. Must not know what is decided, nor why.
"""

from __future__ import annotations

from typing import Any

import ray
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from bandstand_workers.tune.trainer_calls import Suggestion

__all__ = ["GOES_ON", "CallSearcher", "VerdictScheduler"]

GOES_ON = "continue"
"""The answer in a result that is not its Tune trial's last."""

_IDLE_SECONDS = 5.0
"""How long a suggestion is waited for while no Tune trial runs. Tune sleeps a second after each that did not come."""
_BUSY_SECONDS = 0.02
"""The same while others run: Tune handles none of their results meanwhile."""


class CallSearcher(Searcher):  # type: ignore[misc]  # ray has no types
    """Suggests the coordinator's calls."""

    def __init__(self, coordinator: Any, trainers: int):
        """Suggest as many calls at a time as there are trainers."""
        super().__init__()
        self._coordinator = coordinator
        self._trainers = trainers
        self._under_way: dict[str, int] = {}  # Tune's trial -> call

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """As Tune's: a config, None for now, or FINISHED."""
        if len(self._under_way) >= self._trainers:
            return None
        try:
            suggestion: Suggestion = ray.get(
                self._coordinator.suggest.remote(_BUSY_SECONDS if self._under_way else _IDLE_SECONDS)
            )
        except ray.exceptions.RayActorError:
            return str(Searcher.FINISHED)  # whoever runs the study begins another coordinator, and another Tuner
        if suggestion.config is None:
            return str(Searcher.FINISHED) if suggestion.over else None
        self._under_way[trial_id] = suggestion.config["call"]
        return dict(suggestion.config)

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """As Tune's: the call is over, whatever became of it."""
        try:
            ray.get(self._coordinator.complete.remote(self._under_way.pop(trial_id)))
        except ray.exceptions.RayActorError:
            pass  # `suggest` will say so

    def save(self, checkpoint_path: str) -> None:
        """As Tune's; it saves nothing, because a Tuner is never restored."""

    def restore(self, checkpoint_path: str) -> None:
        """As Tune's."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune pickles it into its folder; nothing there is read again


class VerdictScheduler(FIFOScheduler):  # type: ignore[misc]  # ray has no types
    """Returns what Search answered to a trial's report.

    A trial that is to pause stops as well: it has a checkpoint of ours and waits in PostgreSQL, and when Search
    promotes it that is a call of its own. So nothing waits in Tune that a crash would take along.
    """

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """As Tune's."""
        return str(TrialScheduler.CONTINUE if result.get("answer") == GOES_ON else TrialScheduler.STOP)
