"""Comparisons: several strategies on one problem, submitted as one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from bandstand.api.access.authentication import Submitter, Viewer, check_may_change, store_of
from bandstand.api.routes.submitting import (
    SPEC_EXAMPLE,
    Labels,
    Priority,
    Resumption,
    Workers,
    delete_with_files,
    resume_study,
    stop_study,
)
from bandstand.api.schemas.answers import RunOut, StudyOut, SubmissionOut
from bandstand.api.schemas.described import Described
from bandstand.api.schemas.problem_details import answers
from bandstand.api.schemas.values import Limit, Name, Sha256, Storable, check_new_name
from bandstand.errors import ComparisonNotFoundError, InputError
from bandstand.store.accounts import TokenRecord
from bandstand.store.store import Store
from bandstand.study.comparison_plan import ComparisonPlan, make_plan
from bandstand.study.states import SubmissionState
from bandstand.study.strategy_choices import strategies_from
from bandstand.study.study_spec import study_spec_from
from bandstand.submissions import SubmissionQueue
from bandstand.submissions.queue import SubmissionTerms

__all__ = ["last", "router"]

router = APIRouter(tags=["comparisons"])
last = APIRouter(tags=["comparisons"])
"""Its path matches all others below /comparisons, so it comes after them."""
_MOST_STUDIES = 500


class ComparisonSubmission(BaseModel):
    """A comparison to run."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"spec": SPEC_EXAMPLE, "strategies": ["tpe+asha", "hyperband"], "repeats": 5}]},
    )

    spec: Annotated[dict[str, Any], Storable]
    """The settings of a study file. All strategies share them."""
    strategies: Annotated[list[Annotated[str, Field(max_length=500)]], Storable, Field(max_length=50)] = []
    """Strategies, such as tpe+asha. Default: the spec's own strategy. Random and grid search always take part."""
    repeats: Annotated[int, Field(ge=1, le=100)] = 5
    """Number of studies per strategy, each with its own seed."""
    name: Annotated[str, Storable, Field(max_length=100)] | None = None
    """Name of the comparison. Default: the spec's name with -comparison."""
    code: Sha256 | None = None
    """SHA-256 of an archive that the server has. Leave it out if the cluster has the modules."""
    workers: Workers | None = None
    priority: Priority = 0
    labels: Labels = {}


class ComparisonOut(Described):
    """A comparison in a list."""

    name: str
    strategies: list[str]
    repeats: int
    submitter: str | None
    state: SubmissionState | None
    """queued, running, stopping or ended. Null if the comparison was started on the command line."""
    created_at: datetime


class ComparisonPage(Described):
    """One page of the list of comparisons."""

    comparisons: list[ComparisonOut]
    next: int | None
    """Value of `after` for the next page. Null on the last page."""


class PlannedOut(Described):
    """One study of a comparison."""

    strategy: str
    repeat: int
    """Number of the repeat, from 1."""
    name: str
    """Name of the study."""
    study: StudyOut | None
    """State of the study. Null before it is created."""


class ComparisonDetail(Described):
    """A comparison without its results. The report has the results."""

    name: str
    spec: dict[str, Any]
    strategies: list[str]
    repeats: int
    studies: list[PlannedOut]
    submission: SubmissionOut | None
    runs: list[RunOut]


@router.post(
    "/comparisons", status_code=201,
    responses=answers(400, 401, 403, 409, 413, 422, 429, 503, same=ComparisonDetail),
)  # fmt: skip
def submit_comparison(
    request: Request, response: Response, token: Submitter, order: ComparisonSubmission
) -> ComparisonDetail:
    """Submit a comparison. Submitting it again has no effect, unless more strategies or repeats extend it."""
    spec = study_spec_from(order.spec, "spec")
    store = store_of(request)
    name = order.name or f"{spec.name}-comparison"
    check_new_name(name)
    number = len(strategies_from(order.strategies) if order.strategies else []) + 2
    if number * order.repeats > _MOST_STUDIES:
        raise InputError(
            f"a comparison must have at most {_MOST_STUDIES} studies; {number} strategies with {order.repeats} "
            "repeats have more: lower the repeats"
        )
    _check_owner(store, token, name)
    if order.code is not None and not SubmissionQueue(store).has_code(order.code):
        raise InputError(f"the server has no code with SHA-256 {order.code}: send the code first")
    plan = make_plan(name, spec, order.strategies, order.repeats)
    how = SubmissionTerms(
        submitter=token.user_name, code=order.code, workers=order.workers, priority=order.priority, labels=order.labels
    )
    _, is_new = SubmissionQueue(store).submit_comparison(plan, how)
    request.app.state.snapshots.forget_lists()
    response.status_code = 201 if is_new else 200
    return _detail(store, name)


@router.get("/comparisons", responses=answers(401, 422, 429, 503))
def list_comparisons(
    request: Request,
    token: Viewer,
    after: Annotated[int | None, Query(ge=0, lt=2**63, description="Value of `next` on the previous page.")] = None,
    limit: Limit = 50,
) -> ComparisonPage:
    """List comparisons, the newest first, in pages."""
    found = store_of(request).plans.page(after, limit + 1)
    page = [
        ComparisonOut(
            name=row.name, strategies=[arm["label"] for arm in row.arms], repeats=row.repeats,
            submitter=row.submitter, state=row.state, created_at=row.created_at,
        )
        for row in found[:limit]
    ]  # fmt: skip
    return ComparisonPage(comparisons=page, next=found[limit - 1].id if len(found) > limit else None)


@router.post("/comparisons/{name:path}/stop", responses=answers(401, 403, 404, 422, 429, 503))
def stop_comparison(request: Request, token: Submitter, name: Name) -> SubmissionOut:
    """Pause a comparison at the end of the running epochs. It can be resumed."""
    store_of(request).plans.get(name)
    return stop_study(request, token, name)


@router.post("/comparisons/{name:path}/resume", responses=answers(400, 401, 403, 404, 409, 413, 422, 429, 503))
def resume_comparison(request: Request, token: Submitter, name: Name, how: Resumption | None = None) -> SubmissionOut:
    """Continue a comparison that was stopped or has failed."""
    store_of(request).plans.get(name)
    return resume_study(request, token, name, how)


@router.delete("/comparisons/{name:path}", status_code=204, responses=answers(401, 403, 404, 409, 422, 429, 503))
def delete_comparison(request: Request, token: Submitter, name: Name, afterwards: BackgroundTasks) -> None:
    """Delete a comparison that has ended, with its studies."""
    store_of(request).plans.get(name)
    delete_with_files(request, token, name, afterwards)


@last.get("/comparisons/{name:path}", responses=answers(401, 404, 422, 429, 503))
def get_comparison(request: Request, token: Viewer, name: Name) -> ComparisonDetail:
    """Get a comparison: its strategies and the state of each study."""
    return _detail(store_of(request), name)


def _detail(store: Store, name: str) -> ComparisonDetail:
    plan: ComparisonPlan = store.plans.get(name)
    names = plan.study_names()
    there = {study.name: study for study in store.studies(names=list(names.values()))}
    submission, runs = SubmissionQueue(store).look_up(name)
    return ComparisonDetail(
        name=name,
        spec=plan.spec.model_dump(mode="json"),
        strategies=[arm.label for arm in plan.arms],
        repeats=plan.repeats,
        studies=[
            PlannedOut(
                strategy=arm, repeat=repeat + 1, name=study,
                study=StudyOut.model_validate(there[study]) if study in there else None,
            )
            for (arm, repeat), study in names.items()
        ],
        submission=None if submission is None else SubmissionOut.model_validate(submission),
        runs=[RunOut.model_validate(run) for run in runs],
    )  # fmt: skip


def _check_owner(store: Store, token: TokenRecord, name: str) -> None:
    there = SubmissionQueue(store).find(name)
    if there is not None:
        check_may_change(token, there.submitter, name)
        return
    try:
        store.plans.get(name)
    except ComparisonNotFoundError:
        return
    check_may_change(token, None, name)
