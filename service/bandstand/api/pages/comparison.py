"""A comparison's page: its arms and repeats, and what can be said so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bandstand.api.access.authentication import Viewer, store_of
from bandstand.api.pages.content.listing import ComparedStudy, read_entry_state, read_members
from bandstand.api.pages.content.study_on_page import may_change
from bandstand.api.pages.rendering import render
from bandstand.errors import ComparisonNotFoundError, StudyNotFoundError
from bandstand.report.text import counted
from bandstand.store.store import Store
from bandstand.study.comparison_plan import ComparisonPlan
from bandstand.study.states import StudyState
from bandstand.submissions import Run, SubmissionQueue

__all__ = ["ArmRow", "answer_so_far", "arms_of", "router"]

router = APIRouter()


@dataclass(frozen=True, kw_only=True)
class ArmRow:
    """A strategy with its repeats."""

    label: str
    repeats: Sequence[ComparedStudy]
    mean: float | None
    """Of the best values of its finished repeats."""

    @property
    def finished(self) -> int:
        """Repeats that have finished."""
        return sum(member.state is StudyState.FINISHED for member in self.repeats)


@router.get("/web/comparisons/{name:path}")
def comparison(request: Request, token: Viewer, name: str) -> Response:
    """Where a comparison stands."""
    store = store_of(request)
    plan = store.plans.get(name)
    arms = arms_of(store, plan)
    submission = SubmissionQueue(store).find(name)
    with store.database.reading() as connection:
        state = read_entry_state(connection, "comparison", name)
    if state is None:
        raise ComparisonNotFoundError(f"the comparison {name!r} does not exist any more")
    studies = [member for arm in arms for member in arm.repeats]
    runs = [] if submission is None else _runs(store, name)
    return render(
        request,
        "comparison.html",
        name=name,
        plan=plan,
        arms=arms,
        state=state,
        answer=answer_so_far(arms, plan),
        studies=studies,
        finished=sum(arm.finished for arm in arms),
        submission=submission,
        run=runs[-1] if runs else None,
        may_change=may_change(token, submission),
    )


def arms_of(store: Store, plan: ComparisonPlan) -> list[ArmRow]:
    """The arms in the order of the plan, each with all of its repeats."""
    names = {(each.arm, each.repeat): each.spec.name for each in plan.studies()}
    with store.database.reading() as connection:
        members = read_members(connection, list(names.values()))
    arms = []
    for arm in plan.arms:
        repeats = [members[names[arm.label, repeat]] for repeat in range(plan.repeats)]
        values = [one.best for one in repeats if one.state is StudyState.FINISHED and one.best is not None]
        arms.append(ArmRow(label=arm.label, repeats=repeats, mean=fmean(values) if values else None))
    return arms


def answer_so_far(arms: Sequence[ArmRow], plan: ComparisonPlan) -> str:
    """What the validation values show up to now, in a sentence; what can be concluded is the report's to say."""
    objective = plan.spec.objective
    measured = [arm for arm in arms if arm.mean is not None]
    if not measured:
        return "No study has finished yet, so there is nothing to compare."
    best = min(measured, key=lambda arm: objective.sign * (arm.mean or 0.0))
    said = (
        f"So far {best.label} has the best mean {objective.metric}: {best.mean:.5g} ({best.finished} of "
        f"{counted(plan.repeats, 'repeat')})"
    )
    random = next((arm for arm in measured if arm.label in plan.baselines()[:1]), None)
    if random is None or random is best:
        return f"{said}."
    return f"{said}; {random.label} search has {random.mean:.5g} ({random.finished} of {plan.repeats})."


def _runs(store: Store, name: str) -> list[Run]:
    try:
        return SubmissionQueue(store).runs(name)
    except StudyNotFoundError:
        return []
