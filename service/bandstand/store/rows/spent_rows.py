"""Which trials of a budget are spent, as it is read: the rule of `bandstand.trials.ledger` in SQL.

Knows the rows of table `trial`. Must not know who asks.
"""

from __future__ import annotations

import sqlalchemy as sa

from bandstand.trials.events import FINAL_STATES

__all__ = ["trial_is_spent"]


def trial_is_spent(trial: sa.FromClause) -> sa.ColumnElement[bool]:
    """As `bandstand.trials.ledger.spends_a_trial`, of a row of `trial`."""
    return sa.and_(trial.c.parent.is_(None), trial.c.state.in_(FINAL_STATES))
