"""What a study has spent and what is left of its budget.

Knows the limits of a budget and what counts towards each. Must not know who shows it: `bandstand.store.rows.spent_rows`
says in SQL which trials are spent, and is tested to agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bandstand.problem.budget import Budget
from bandstand.trials.events import TrialState

__all__ = ["Ledger", "LimitSpent", "extended", "spends_a_trial", "spent_of_limits", "spent_share", "takes_a_trial"]


def takes_a_trial(parent: int | None) -> bool:
    """Whether a trial is booked on `budget.trials` when it is proposed: a child goes on in its parent's place.

    Args:
        parent: the trial's; None where it has none.
    """
    return parent is None


def spends_a_trial(parent: int | None, state: TrialState) -> bool:
    """Whether a trial of this parent and state is one of the trials of the budget that are spent: it has ended."""
    return takes_a_trial(parent) and state.is_final


class LimitSpent(NamedTuple):
    """How much of one limit is spent, in the limit's unit."""

    spent: float
    limit: float


def spent_of_limits(
    budget: Mapping[str, float], *, epochs: int, trials: int, wall_seconds: float, gpu_seconds: float
) -> dict[str, LimitSpent]:
    """What is spent of each limit, by the limit's name and in the order of `budget`.

    Args:
        budget: the limits that are set.
        epochs: recorded, of all trials together.
        trials: that are spent, by `spends_a_trial`.
        wall_seconds: booked so far.
        gpu_seconds: likewise.
    """
    spent = {"epochs": epochs, "trials": trials, "wall_seconds": wall_seconds, "gpu_hours": gpu_seconds / 3600}
    return {name: LimitSpent(spent[name], limit) for name, limit in budget.items()}


def spent_share(limits: Iterable[LimitSpent]) -> float | None:
    """The share of the limit that is nearest to its end, 0 to 1; None where nothing is limited."""
    shares = [each.spent / each.limit for each in limits]
    return min(1.0, max(shares)) if shares else None


class Ledger:
    """The account of one study. Epochs are booked when they are granted, so that queued work never exceeds them."""

    def __init__(self, budget: Budget, max_epochs: int):
        self._budget = budget
        self._max_epochs = max_epochs
        self.trials = 0
        """Trials booked: those that `takes_a_trial` counts, from when they are proposed."""
        self.booked_epochs = 0
        """Epochs recorded, and those granted to trials that still live."""
        self.epochs = 0
        """Epochs recorded."""
        self.wall_seconds = 0.0
        self.gpu_seconds = 0.0

    @property
    def budget(self) -> Budget:
        """The limits as they are now."""
        return self._budget

    def extend(self, limits: Mapping[str, float]) -> None:
        """Go by these limits from now on."""
        self._budget = self._budget.model_copy(update=dict(limits))

    @property
    def epochs_left(self) -> int:
        """Epochs that can still be granted to one trial; at most max_epochs where epochs are not limited."""
        if self._budget.epochs is None:
            return self._max_epochs
        return self._budget.epochs - self.booked_epochs

    @property
    def room_for_new_trial(self) -> int:
        """Epochs that a new trial could be granted; 0 when there may be none."""
        if self._budget.trials is not None and self.trials >= self._budget.trials:
            return 0
        return max(0, self.epochs_left)

    @property
    def time_is_up(self) -> bool:
        """Whether wall time or GPU time is used up."""
        wall, gpu = self._budget.wall_seconds, self._budget.gpu_hours
        return (wall is not None and self.wall_seconds >= wall) or (gpu is not None and self.gpu_seconds >= gpu * 3600)

    def seconds_left(self, gpus_in_use: float) -> float | None:
        """Wall seconds until time is up while `gpus_in_use` GPUs are busy; None where time is not limited."""
        limits = []
        if self._budget.wall_seconds is not None:
            limits.append(self._budget.wall_seconds - self.wall_seconds)
        if self._budget.gpu_hours is not None and gpus_in_use > 0:
            limits.append((self._budget.gpu_hours * 3600 - self.gpu_seconds) / gpus_in_use)
        return max(0.0, min(limits)) if limits else None


def extended(budget: Budget, wanted: Budget) -> Budget:
    """The budget with the limits that are wanted.

    Raises:
        ValueError: one line: what would not be an extension.
    """
    limits, raised = budget.model_dump(exclude_none=True), wanted.model_dump(exclude_none=True)
    for name, value in raised.items():
        if name not in limits:
            known = ", ".join(limits) or "nothing"
            raise ValueError(
                f"an extension can only raise the limits that the study has ({known}); got {name}={value:g}, which is "
                "a new limit: leave it out"
            )
        if value < limits[name]:
            raise ValueError(
                f"an extension must raise a limit; {name} is {limits[name]:g} now, got {value:g}: give a larger total"
            )
    if all(limits[name] == value for name, value in raised.items()):
        raise ValueError(f"an extension must raise a limit; the budget is {budget} now: give a larger one")
    return budget.model_copy(update=raised)
