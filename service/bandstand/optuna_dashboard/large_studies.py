"""What a large study costs in Optuna Dashboard, which loads all trials of a study at every look.

Knows how many trials Optuna's tables hold, and what is said of many. Must not know who asks.

Measured with 10,000 trials of 30 epochs: a look takes about a minute on a busy machine and half a gigabyte.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.store.database import Database

__all__ = ["MOST_TRIALS", "TOLD_TRIALS", "cost_words", "count_trials", "find_large_studies", "refusal_words"]

TOLD_TRIALS = 2_000
"""From so many on, users are told what a look costs."""
MOST_TRIALS = 30_000
"""Of more, a server shows none: the process of the dashboard would grow until it is ended, for nothing."""


def cost_words(trials: int) -> str | None:
    """What a look at a study costs, for people; None where it is not worth a word."""
    if trials < TOLD_TRIALS:
        return None
    if trials > MOST_TRIALS:
        return f"Optuna Dashboard cannot show its {trials:,} trials; this page and the report sum them up."
    return f"Optuna Dashboard loads all {trials:,} trials, which takes up to a minute; this page and the report do not."


def refusal_words(trials: int) -> str | None:
    """Why a server does not show a study in the dashboard; None where it does."""
    if trials <= MOST_TRIALS:
        return None
    return (
        f"Optuna Dashboard can show studies of at most {MOST_TRIALS:,} trials here, and this one has {trials:,}: open "
        "the study's own page or its report, which sum them up"
    )


def count_trials(database: Database, optuna_study_id: int) -> int:
    """The trials of a study in Optuna's tables; 0 where there is no such study."""
    with database.reading() as connection:
        if not _has_tables(connection):
            return 0
        query = sa.text("SELECT count(*) FROM trials WHERE study_id = :id")
        return int(connection.execute(query, {"id": optuna_study_id}).scalar_one())


def find_large_studies(database: Database) -> list[tuple[str, int]]:
    """Names and trials of the studies of which users are told, the largest first."""
    with database.reading() as connection:
        if not _has_tables(connection):
            return []
        query = sa.text(
            "SELECT study_name, count(*) AS trials FROM trials JOIN studies USING (study_id) GROUP BY study_name "
            "HAVING count(*) >= :least ORDER BY trials DESC, study_name"
        )
        return [(row.study_name, row.trials) for row in connection.execute(query, {"least": TOLD_TRIALS})]


def _has_tables(connection: Connection) -> bool:
    return connection.execute(sa.text("SELECT to_regclass('trials')")).scalar() is not None
