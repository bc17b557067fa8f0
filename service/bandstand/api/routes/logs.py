"""What the jobs of studies have printed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from bandstand.api.access.authentication import Viewer, store_of
from bandstand.api.routes.studies import no_study
from bandstand.api.schemas.problem_details import answers
from bandstand.api.schemas.values import Name, TextOrEmpty
from bandstand.errors import StudyNotFoundError
from bandstand.report.text import counted
from bandstand.submissions import SubmissionQueue

__all__ = ["router"]

router = APIRouter(tags=["studies"])


class LogPart(BaseModel):
    """A piece of a run's log."""

    run: int | None
    """Which one, from 1; null before there is any."""
    state: TextOrEmpty
    """Of the run; empty before there is any."""
    ended: bool
    """Whether nothing more will come."""
    start: int
    """Characters before this piece."""
    text: str
    next: int
    """`start` of the next piece."""


@router.get("/studies/{name:path}/logs", responses=answers(401, 404, 422, 429, 503))
def get_log(
    request: Request,
    token: Viewer,
    name: Name,
    run: Annotated[int | None, Query(ge=1, lt=2**31, description="Its number; the latest if left out.")] = None,
    start: Annotated[int, Query(ge=0, lt=2**53, description="Characters to skip.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500_000, description="Characters at most.")] = 100_000,
) -> LogPart:
    """A piece of what a job of the study's has printed. Ask again from `next` for more, as long as it has not ended."""
    store = store_of(request)
    submission, runs = SubmissionQueue(store).look_up(name)
    if submission is None and not store.studies(names=[name]):
        raise no_study(store, name)
    if not runs and run is None:
        return LogPart(run=None, state="", ended=False, start=start, text="", next=start)
    chosen = next((one for one in runs if one.number == run), None) if run is not None else runs[-1]
    if chosen is None:
        raise StudyNotFoundError(
            f"{name!r} has {counted(len(runs), 'run')}; there is no run {run}: leave it out for the latest"
        )
    text = SubmissionQueue(store).log(chosen.id, start, limit)
    following = start + len(text)
    ended = chosen.state.has_ended and following >= chosen.log_characters
    return LogPart(run=chosen.number, state=chosen.state, ended=ended, start=start, text=text, next=following)
