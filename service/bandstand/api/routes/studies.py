"""Looking at studies and their trials."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from bandstand.api.access.authentication import Viewer, store_of
from bandstand.api.feeds.snapshots import Snapshots, StudyQuery
from bandstand.api.schemas.answers import (
    BestOut,
    Page,
    RunOut,
    StudyDetail,
    StudyOut,
    SubmissionOut,
    TrialOut,
    TrialPage,
)
from bandstand.api.schemas.problem_details import answers
from bandstand.api.schemas.values import Limit, Name, Storable
from bandstand.errors import StudyNotFoundError
from bandstand.store.reading.study_list import State
from bandstand.store.rows.study_rows import missing_study
from bandstand.store.store import Store
from bandstand.submissions import SubmissionQueue

__all__ = ["last", "router", "study_detail"]

router = APIRouter(tags=["studies"])
last = APIRouter(tags=["studies"])
"""Its path matches all others below /studies, so it comes after them."""
_MAX_NUMBER = 2**31 - 1


@router.get("/studies", responses=answers(401, 422, 429, 503))
def list_studies(
    request: Request,
    token: Viewer,
    state: Annotated[State | None, Query(description="List only studies in this state.")] = None,
    submitter: Annotated[
        str | None, Storable, Query(max_length=64, description="List only studies of this user.")
    ] = None,
    after: Annotated[int | None, Query(ge=0, lt=2**63, description="Value of `next` on the previous page.")] = None,
    limit: Limit = 50,
) -> Page:
    """List studies, the newest first, in pages. The list may be one second old."""
    snapshots: Snapshots = request.app.state.snapshots
    found = snapshots.studies(StudyQuery(state=state, submitter=submitter, after=after, limit=limit + 1))
    page = [StudyOut.model_validate(study) for study in found[:limit]]
    return Page(studies=page, next=found[limit - 1].id if len(found) > limit else None)


@router.get("/studies/{name:path}/trials", responses=answers(401, 404, 422, 429, 503))
def list_trials(
    request: Request,
    token: Viewer,
    name: Name,
    after: Annotated[int, Query(ge=-1, le=_MAX_NUMBER, description="Value of `next` on the previous page.")] = -1,
    limit: Annotated[int, Query(ge=1, le=1000, description="Largest number of trials on a page.")] = 200,
) -> TrialPage:
    """List the trials of a study by their numbers, in pages."""
    found = store_of(request).trials(name, after, limit + 1)
    page = [TrialOut.model_validate(trial) for trial in found[:limit]]
    return TrialPage(trials=page, next=found[limit - 1].number if len(found) > limit else None)


@router.get("/studies/{name:path}/best", responses=answers(401, 404, 422, 429, 503))
def get_best(request: Request, token: Viewer, name: Name) -> BestOut:
    """Get the best trial of a study so far. The answer is 404 until a trial has a value."""
    found, tested = store_of(request).best(name)
    if found is None:
        raise StudyNotFoundError(f"study {name!r} has no trial with a value yet: ask again later")
    return BestOut.model_validate(found).model_copy(update={"test_metrics": tested if found.model_path else None})


@last.get("/studies/{name:path}", responses=answers(401, 404, 422, 429, 503))
def get_study(request: Request, token: Viewer, name: Name) -> StudyDetail:
    """Get a study: its spec, its progress, its submission and its jobs."""
    return study_detail(request, name)


def no_study(store: Store, name: str) -> StudyNotFoundError:
    """The answer where no study has this name."""
    with store.database.reading() as connection:
        return missing_study(connection, name, "on this server", "`bandstand list` and GET /studies list all")


def study_detail(request: Request, name: str) -> StudyDetail:
    """All that is told of one study.

    Raises:
        StudyNotFoundError: there is none of this name.
    """
    store = store_of(request)
    snapshots: Snapshots = request.app.state.snapshots
    found = store.studies(names=[name])
    if not found:
        raise no_study(store, name)
    standing = snapshots.standing(found[0])
    submission, runs = SubmissionQueue(store).look_up(name)
    return StudyDetail(
        **StudyOut.model_validate(found[0]).__dict__,
        spec=standing.spec,
        progress=standing.progress,
        submission=None if submission is None else SubmissionOut.model_validate(submission),
        runs=[RunOut.model_validate(run) for run in runs],
    )
