"""Plans of comparisons as rows of the database.

Knows both shapes. Must not know how to connect.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection

from bandstand.errors import ComparisonNotFoundError, StudyNameTakenError
from bandstand.store import tables
from bandstand.study.comparison_plan import ComparisonPlan
from bandstand.study.strategy_choices import StrategyChoice
from bandstand.study.study_spec import StudySpec

__all__ = ["read_plan", "read_plan_names", "read_plan_page", "write_plan"]


def read_plan_names(connection: Connection) -> list[str]:
    """All comparisons, the newest first."""
    query = sa.select(tables.comparison.c.name).order_by(tables.comparison.c.id.desc())
    return list(connection.execute(query).scalars())


def read_plan_page(connection: Connection, after: int | None, limit: int) -> list[sa.Row[Any]]:
    """Comparisons with how they were submitted, if they were, the newest first.

    Args:
        connection: to read by.
        after: `id` of the last one of the page before.
        limit: at most so many.

    Returns:
        Rows with id, name, arms, repeats, created_at, submitter and state of the submission.
    """
    plan, submission = tables.comparison, tables.submission
    same = sa.and_(submission.c.name == plan.c.name, submission.c.kind == "comparison")
    query = (
        sa.select(
            plan.c.id, plan.c.name, plan.c.arms, plan.c.repeats, plan.c.created_at, submission.c.submitter,
            submission.c.state,
        )
        .outerjoin(submission, same)
        .order_by(plan.c.id.desc())
        .limit(limit)
    )  # fmt: skip
    return list(connection.execute(query if after is None else query.where(plan.c.id < after)))


def read_plan(connection: Connection, name: str) -> ComparisonPlan:
    """A comparison's plan.

    Raises:
        ComparisonNotFoundError: there is none of this name.
    """
    row = connection.execute(sa.select(tables.comparison).where(tables.comparison.c.name == name)).one_or_none()
    if row is None:
        known = read_plan_names(connection)[:5]
        way_out = (
            f"the latest are {', '.join(map(repr, known))}; `bandstand list` shows all"
            if known
            else "`bandstand compare FILE` runs one"
        )
        raise ComparisonNotFoundError(f"there is no comparison {name!r} in this database; {way_out}")
    own = tables.comparison_study
    taken = connection.execute(sa.select(own).where(own.c.comparison_id == row.id))
    return ComparisonPlan(
        name=name,
        spec=StudySpec.model_validate(row.spec),
        arms=tuple(StrategyChoice(**arm) for arm in row.arms),
        repeats=row.repeats,
        taken={(one.arm, one.repeat): one.study_name for one in taken},
    )


def write_plan(connection: Connection, plan: ComparisonPlan) -> ComparisonPlan:
    """Keep a plan, or extend the one of this name by its arms and repeats; returns what is kept then.

    Raises:
        StudyNameTakenError: the name belongs to a comparison with other settings.
    """
    if plan.name in read_plan_names(connection):
        stored = read_plan(connection, plan.name)
        _check_same(plan, stored)
        taken = plan.taken | stored.taken
        plan = dataclasses.replace(stored.extended(plan.arms, plan.repeats), taken=taken)
    values: dict[str, Any] = {
        "name": plan.name,
        "spec": plan.spec.model_dump(mode="json"),
        "arms": [dataclasses.asdict(arm) for arm in plan.arms],
        "repeats": plan.repeats,
    }
    statement = insert(tables.comparison).values(values)
    statement = statement.on_conflict_do_update(index_elements=["name"], set_=values)
    comparison = connection.execute(statement.returning(tables.comparison.c.id)).scalar_one()
    for (arm, repeat), study in plan.taken.items():
        row = {"comparison_id": comparison, "arm": arm, "repeat": repeat, "study_name": study}
        connection.execute(insert(tables.comparison_study).values(row).on_conflict_do_nothing())
    return plan


def _check_same(plan: ComparisonPlan, stored: ComparisonPlan) -> None:
    differences = plan.spec.model_copy(update={"notes": stored.spec.notes}).differences(stored.spec)
    arms = {arm.label: arm for arm in stored.arms}
    differences += [
        f"options of {arm.label}: {_options(arm)} here, {_options(arms[arm.label])} stored"
        for arm in plan.arms
        if arm != arms.get(arm.label, arm)
    ]
    if differences:
        raise StudyNameTakenError(
            f"a name belongs to one comparison; {plan.name!r} exists with other settings ({'; '.join(differences)}): "
            "give this one another name (--as; in Python name=)",
            differences,
        )


def _options(arm: StrategyChoice) -> str:
    return ", ".join(f"{name}={value}" for name, value in (arm.sampler_options | arm.pruner_options).items()) or "none"
