"""What users ask of a study that exists, whether it runs or not: more budget, or a trial of their own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field

from bandstand.api.access.authentication import Submitter, store_of
from bandstand.api.routes.submitting import check_owner
from bandstand.api.schemas.described import Described
from bandstand.api.schemas.problem_details import answers
from bandstand.api.schemas.values import Name, Storable
from bandstand.problem.budget import Budget
from bandstand.submissions import SubmissionOutcome, SubmissionQueue, SubmissionState
from bandstand.submissions.queue import SubmissionTerms

__all__ = ["router"]

router = APIRouter(tags=["studies"])


class BudgetToExtend(Described):
    """A larger budget for a study."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"budget": {"epochs": 1000}}]})

    budget: Budget
    """New totals of limits that the study has. Other limits stay the same."""


class TrialToEnqueue(Described):
    """A trial with params from a user."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"params": {"learning_rate": 0.01}}]})

    params: Annotated[dict[str, Any], Storable, Field(max_length=1000)]
    """A value for each parameter of the study's space."""


class Requested(Described):
    """The stored request. The running study takes it in within seconds."""

    request: int
    """Number of the request."""


_PROBLEMS = answers(400, 401, 403, 404, 409, 413, 422, 429, 503)


@router.post("/studies/{name:path}/extend", status_code=202, responses=_PROBLEMS)
def extend_study(request: Request, token: Submitter, name: Name, extension: BudgetToExtend) -> Requested:
    """Raise the budget of a study. A finished study is queued again. A stopped one waits until somebody resumes it."""
    store = store_of(request)
    check_owner(store, token, name)
    number = store.requests.extend(name, extension.budget, by=token.user_name)
    there = SubmissionQueue(store).find(name)
    if there is not None and there.state is SubmissionState.ENDED and there.outcome is SubmissionOutcome.FINISHED:
        SubmissionQueue(store).resume(name, SubmissionTerms(submitter=there.submitter))
    return Requested(request=number)


@router.post("/studies/{name:path}/enqueue", status_code=202, responses=_PROBLEMS)
def enqueue_trial(request: Request, token: Submitter, name: Name, trial: TrialToEnqueue) -> Requested:
    """Add a trial with these params to a study. It is trained next, within the budget."""
    store = store_of(request)
    check_owner(store, token, name)
    return Requested(request=store.requests.enqueue(name, trial.params, by=token.user_name))
