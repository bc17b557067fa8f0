"""A study's page, which follows it while it runs, and its job's whole log."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from bandstand.api.access.authentication import Viewer, store_of
from bandstand.api.pages.content.fields import budget_fields, param_fields
from bandstand.api.pages.content.study_on_page import may_change, read_study_on_page, whole_log
from bandstand.api.pages.rendering import render
from bandstand.errors import StudyNotFoundError
from bandstand.submissions import SubmissionQueue

__all__ = ["router"]

router = APIRouter()


@router.get("/web/studies/{name:path}")
def study(request: Request, token: Viewer, name: str) -> Response:
    """Where a study stands."""
    standing = read_study_on_page(store_of(request), name)
    spec = standing.progress.spec
    return render(
        request,
        "study.html",
        study=standing,
        spec=spec,
        may_change=may_change(token, standing.submission),
        budget_fields=budget_fields(standing.progress.budget),
        param_fields=param_fields(spec),
    )


@router.get("/web/logs/{name:path}")
def log(request: Request, token: Viewer, name: str, run: str | None = None) -> Response:
    """All that a job of a study or comparison has printed so far, as plain text; of the latest unless `run` says so."""
    store = store_of(request)
    runs = [one for one in SubmissionQueue(store).runs(name) if not run or run == one.id]
    if not runs:
        raise StudyNotFoundError(f"{name!r} has no job {run!r}" if run else f"{name!r} has no job yet")
    return StreamingResponse(whole_log(store, runs[-1]), media_type="text/plain; charset=utf-8")
