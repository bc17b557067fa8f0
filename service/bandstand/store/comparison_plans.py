"""The plans of comparisons that a database keeps.

Knows plans, and where they are kept. Must not know how the studies of one are run, nor what came of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bandstand.store import tables
from bandstand.store.database import Database
from bandstand.store.rows.finished_studies import read_finished_like
from bandstand.store.rows.plan_rows import read_plan, read_plan_names, read_plan_page, write_plan
from bandstand.study.comparison_plan import ComparisonPlan
from bandstand.study.study_spec import StudySpec

__all__ = ["ComparisonPlans"]


class ComparisonPlans:
    """The plans of one database.

    Raises, from any method:
        DatabaseUnreachableError: the server went away.
    """

    def __init__(self, database: Database):
        """Use `Store.plans`."""
        self._database = database

    def names(self) -> list[str]:
        """The names of all comparisons, the newest first."""
        with self._database.reading() as connection:
            return read_plan_names(connection)

    def page(self, after: int | None, limit: int) -> list[sa.Row[Any]]:
        """Some comparisons, as `read_plan_page` has them."""
        with self._database.reading() as connection:
            return read_plan_page(connection, after, limit)

    def get(self, name: str) -> ComparisonPlan:
        """A comparison's plan.

        Raises:
            ComparisonNotFoundError: there is none of this name.
        """
        with self._database.reading() as connection:
            return read_plan(connection, name)

    def finished_like(self, specs: Sequence[StudySpec]) -> dict[str, list[str]]:
        """As `read_finished_like`: by the specs' names, finished studies that a comparison may take over."""
        with self._database.reading() as connection:
            return read_finished_like(connection, specs)

    def keep(self, plan: ComparisonPlan) -> ComparisonPlan:
        """Keep a comparison's plan, or extend the one of this name; returns what is kept then.

        Raises:
            StudyNameTakenError: the name belongs to a comparison with other settings.
        """
        with self._database.connection() as connection, connection.begin():
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(tables.CREATE_LOCK)))
            return write_plan(connection, plan)
