"""What the jobs of studies have printed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from bandstand.api.access.authentication import Viewer, store_of
from bandstand.api.routes.studies import no_study
from bandstand.api.schemas.described import Described
from bandstand.api.schemas.problem_details import answers
from bandstand.api.schemas.values import Name, TextOrEmpty
from bandstand.errors import StudyNotFoundError
from bandstand.report.text import counted
from bandstand.submissions import SubmissionQueue

__all__ = ["router"]

router = APIRouter(tags=["studies"])


class LogPart(Described):
    """A part of the log of a job."""

    run: int | None
    """Number of the job, from 1. Null before the first job."""
    state: TextOrEmpty
    """State of the job. Empty before the first job."""
    ended: bool
    """Whether the log ends with this part."""
    start: int
    """Number of characters before this part."""
    text: str
    next: int
    """Value of `start` for the next part."""


@router.get("/studies/{name:path}/logs", responses=answers(401, 404, 422, 429, 503))
def get_log(
    request: Request,
    token: Viewer,
    name: Name,
    run: Annotated[int | None, Query(ge=1, lt=2**31, description="Number of the job. Default: the latest job.")] = None,
    start: Annotated[int, Query(ge=0, lt=2**53, description="Number of characters to skip.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500_000, description="Largest number of characters of the part.")] = 100_000,
) -> LogPart:
    """Get a part of the output of a study's job. Until `ended` is true, ask again with `next` as `start`."""
    store = store_of(request)
    submission, runs = SubmissionQueue(store).look_up(name)
    if submission is None and not store.studies(names=[name]):
        raise no_study(store, name)
    if not runs and run is None:
        return LogPart(run=None, state="", ended=False, start=start, text="", next=start)
    chosen = next((one for one in runs if one.number == run), None) if run is not None else runs[-1]
    if chosen is None:
        raise StudyNotFoundError(
            f"{name!r} has {counted(len(runs), 'job')}, and no job {run}: leave the number out for the latest job"
        )
    text = SubmissionQueue(store).log(chosen.id, start, limit)
    following = start + len(text)
    ended = chosen.state.has_ended and following >= chosen.log_characters
    return LogPart(run=chosen.number, state=chosen.state, ended=ended, start=start, text=text, next=following)
