"""What users ask of a study that exists: more budget, a trial of their own, or to stop.

Knows who may be asked for what. Must not know who asks, nor what becomes of it: the study's coordinator answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.errors import InputError
from bandstand.problem.budget import Budget
from bandstand.store import tables
from bandstand.store.database import Database
from bandstand.store.records import StudyRequest
from bandstand.store.rows.plan_rows import read_plan_names
from bandstand.store.rows.request_rows import check_extension, checked_params, read_budget, read_requests, write_request
from bandstand.store.rows.study_rows import get_row, try_to_hold
from bandstand.study.study_spec import StudySpec

__all__ = ["StudyRequests"]


class StudyRequests:
    """The requests of one database.

    Raises, from any method:
        DatabaseUnreachableError: the server went away.
    """

    def __init__(self, database: Database):
        """Use `Store.requests`."""
        self._database = database

    def read(self, name: str) -> list[StudyRequest]:
        """What users have asked of a study, the oldest first, with the answers.

        Raises:
            StudyNotFoundError: there is no study of this name.
        """
        with self._database.reading() as connection:
            return read_requests(connection, get_row(connection, name)._mapping["id"])

    def extend(self, name: str, budget: Budget, by: str | None = None) -> int:
        """Ask that a study may spend more; a finished one goes on when it is run again.

        Args:
            name: the study, in any state.
            budget: new totals of limits that the study has; what is None stays.
            by: who asks.

        Returns:
            The request's number; `read` has its answer once the study's coordinator has taken it in.

        Raises:
            StudyNotFoundError: there is no study of this name.
            InputError: it cannot be granted; nothing was written.
        """
        with self._database.connection() as connection, connection.begin():
            study_id, spec = self._requestable(connection, name)
            now = read_budget(connection, study_id, spec)
            for request in read_requests(connection, study_id):
                if request.kind == "extend" and request.taken_at is None:  # it is granted before this one
                    now = now.model_copy(update=dict(request.data))
            check_extension(spec, now, budget)
            return write_request(connection, study_id, "extend", budget.model_dump(exclude_none=True), by)

    def enqueue(self, name: str, params: Mapping[str, Any], by: str | None = None) -> int:
        """Ask that these params be trained next: before anything new that the strategy wants, within the budget.

        Args:
            name: the study, in any state. Where its budget is used, the trial waits until that is extended.
            params: a point of the study's space.
            by: who asks.

        Returns, Raises: as `extend`.
        """
        with self._database.connection() as connection, connection.begin():
            study_id, spec = self._requestable(connection, name)
            return write_request(connection, study_id, "enqueue", checked_params(spec, params), by)

    def stop(self, name: str) -> bool:
        """Ask whoever runs a study to stop it.

        Returns:
            Whether somebody runs it.

        Raises:
            StudyNotFoundError: there is no study of this name.
        """
        with self._database.connection() as connection, connection.begin():
            study_id = get_row(connection, name).id
            if try_to_hold(connection, study_id):  # free, so nobody runs it
                connection.execute(sa.select(sa.func.pg_advisory_unlock(tables.LEASE_CLASS, study_id)))
                return False
            connection.execute(sa.update(tables.study).where(tables.study.c.id == study_id).values(stop_requested=True))
            return True

    def _requestable(self, connection: Connection, name: str) -> tuple[int, StudySpec]:
        """A study's id and spec, where users may ask something of it; nobody else asks meanwhile.

        Raises:
            InputError: it is part of a comparison.
        """
        row = get_row(connection, name)._mapping
        connection.execute(sa.select(tables.study.c.id).where(tables.study.c.id == row["id"]).with_for_update())
        taken = tables.comparison_study.c.study_name
        plans = [plan for plan in read_plan_names(connection) if name.startswith(f"{plan}/")]
        if plans or connection.execute(sa.select(taken).where(taken == name).limit(1)).scalar() is not None:
            raise InputError(
                f"{name}: the studies of a comparison must keep equal budgets and take no trials from users; run a "
                "separate study for that"
            )
        return int(row["id"]), StudySpec.model_validate(row["spec"])
