"""What users ask of a study that exists, whether it runs or not: more budget, or a trial of their own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from bandstand.api.access.authentication import Submitter, store_of
from bandstand.api.routes.submitting import check_owner
from bandstand.api.schemas.problem_details import answers
from bandstand.api.schemas.values import Name, Storable
from bandstand.problem.budget import Budget
from bandstand.submissions import SubmissionOutcome, SubmissionQueue, SubmissionState
from bandstand.submissions.queue import SubmissionTerms

__all__ = ["router"]

router = APIRouter(tags=["studies"])


class BudgetToExtend(BaseModel):
    """More budget."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"budget": {"epochs": 1000}}]})

    budget: Budget
    """New totals of limits that the study has; what is left out stays."""


class TrialToEnqueue(BaseModel):
    """A trial of one's own."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"params": {"learning_rate": 0.01}}]})

    params: Annotated[dict[str, Any], Storable, Field(max_length=1000)]
    """A point of the study's space."""


class Requested(BaseModel):
    """What was asked is kept; the study's coordinator takes it in."""

    request: int
    """Its number."""


_PROBLEMS = answers(400, 401, 403, 404, 409, 413, 422, 429, 503)


@router.post("/studies/{name:path}/extend", status_code=202, responses=_PROBLEMS)
def extend_study(request: Request, token: Submitter, name: Name, extension: BudgetToExtend) -> Requested:
    """Let a study spend more. One that has finished is queued again; one that was stopped waits until it is resumed."""
    store = store_of(request)
    check_owner(store, token, name)
    number = store.requests.extend(name, extension.budget, by=token.user_name)
    there = SubmissionQueue(store).find(name)
    if there is not None and there.state is SubmissionState.ENDED and there.outcome is SubmissionOutcome.FINISHED:
        SubmissionQueue(store).resume(name, SubmissionTerms(submitter=there.submitter))
    return Requested(request=number)


@router.post("/studies/{name:path}/enqueue", status_code=202, responses=_PROBLEMS)
def enqueue_trial(request: Request, token: Submitter, name: Name, trial: TrialToEnqueue) -> Requested:
    """Have these params trained next, before anything new that the strategy wants, within the budget."""
    store = store_of(request)
    check_owner(store, token, name)
    return Requested(request=store.requests.enqueue(name, trial.params, by=token.user_name))
