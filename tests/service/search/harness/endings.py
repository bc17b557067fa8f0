"""What holds once a study has ended, whatever it was made of and whatever happened on the way."""

import re
from math import isfinite

__all__ = ["check_ending"]


def check_ending(run, account):
    """Every trial has ended once, and the budget is used exactly unless there was nothing more to try.

    Args:
        run: a VirtualCluster whose study has ended.
        account: an Account of its events, in which most of the rules are.
    """
    spec, history = run.spec, run.search.history
    assert account.ended == history.ended is not None
    assert history.ledger.epochs == account.epochs
    assert history.ledger.trials == account.roots
    assert not history.running
    if re.search(r"first .*trials? failed", history.ended.reason):
        return  # it was cut off: what waits may go on when the study is reopened
    assert not history.waiting
    assert not history.paused
    assert all(trial.ended for trial in account.trials)
    assert all(trial.state.is_final for trial in history.trials)
    assert account.epochs == history.ledger.booked_epochs
    assert history.best is None or isfinite(history.value_of(history.best))
    budget = history.ledger.budget
    all_trials_used = budget.trials is not None and account.roots == budget.trials
    all_epochs_used = budget.epochs is not None and account.epochs == budget.epochs
    assert all_trials_used or all_epochs_used or history.ledger.time_is_up or _is_exhausted(spec, history)


def _is_exhausted(spec, history):
    """Whether the strategy rightly had nothing more to try."""
    if spec.sampler == "grid":
        return len({str(trial.params) for trial in history.trials}) == spec.space.size
    ends = {"lr-restarts": "every configuration has had its cycles", "replay": "the schedule was replayed to its end"}
    return spec.sampler in ends and history.ended.reason in (ends[spec.sampler], "every trial failed")
