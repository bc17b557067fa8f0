"""Submitting studies, and what may be asked of those that were."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from bandstand.api.access.authentication import Submitter, check_may_change, store_of
from bandstand.api.routes.studies import no_study, study_detail
from bandstand.api.schemas.answers import StudyDetail, SubmissionOut
from bandstand.api.schemas.described import Described
from bandstand.api.schemas.problem_details import answers
from bandstand.api.schemas.values import Name, Sha256, Storable, check_new_name
from bandstand.store.accounts import TokenRecord
from bandstand.store.leftovers import try_to_remove_leftovers
from bandstand.store.store import Store
from bandstand.study.study_spec import study_spec_from
from bandstand.submissions import SubmissionQueue
from bandstand.submissions.queue import SubmissionTerms

__all__ = ["SPEC_EXAMPLE", "Labels", "Priority", "Workers", "check_owner", "router"]

router = APIRouter(tags=["studies"])

Workers = Annotated[
    int, Field(ge=1, le=10_000, description="Number of trainers that work at the same time. Default: as many as fit.")
]
Priority = Annotated[int, Field(ge=-1000, le=1000, description="Submissions with a higher number run sooner.")]
Labels = Annotated[
    dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=100)]],
    Storable,
    Field(max_length=20, description="Labels that a node must have to run the study, as in Ray's label selectors."),
]
SPEC_EXAMPLE: dict[str, Any] = {
    "name": "digits",
    "model": "train:build",
    "data": "train:load",
    "max_epochs": 27,
    "objective": {"metric": "val_accuracy", "direction": "maximize"},
    "budget": {"epochs": 500},
    "space": {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True}},
}


class StudySubmission(BaseModel):
    """A study to run."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, json_schema_extra={"examples": [{"spec": SPEC_EXAMPLE}]}
    )

    spec: Annotated[dict[str, Any], Storable]
    """The settings of a study file."""
    code: Sha256 | None = None
    """SHA-256 of an archive that the server has. Leave it out if the cluster has the modules."""
    workers: Workers | None = None
    priority: Priority = 0
    labels: Labels = {}


class Resumption(Described):
    """How a study continues."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{}]})

    code: Sha256 | None = None
    """SHA-256 of an archive that replaces the study's code."""
    workers: Workers | None = None
    """Number of trainers, for a study that was never submitted. Other studies keep their number."""
    data_may_differ: bool = False
    """Continue even if a trainer's data differ from those of the study's first trainer. Reports then say so."""


@router.post(
    "/studies",
    status_code=201,
    responses=answers(400, 401, 403, 409, 413, 422, 429, 503, same=StudyDetail),
)
def submit_study(request: Request, response: Response, token: Submitter, order: StudySubmission) -> StudyDetail:
    """Submit a study. Submitting it again has no effect. The same name with other settings or code is a conflict."""
    spec = study_spec_from(order.spec, "spec")
    check_new_name(spec.name)
    store = store_of(request)
    there = SubmissionQueue(store).find(spec.name)
    if there is not None:
        check_may_change(token, there.submitter, spec.name)
    _, is_new = SubmissionQueue(store).submit_study(
        spec,
        SubmissionTerms(
            submitter=token.user_name, code=order.code, workers=order.workers, priority=order.priority,
            labels=order.labels,
        ),
    )  # fmt: skip
    response.status_code = 201 if is_new else 200
    request.app.state.snapshots.forget_lists()
    return study_detail(request, spec.name)


@router.post("/studies/{name:path}/stop", responses=answers(401, 403, 404, 422, 429, 503))
def stop_study(request: Request, token: Submitter, name: Name) -> SubmissionOut:
    """Pause a study at the end of the running epochs. It can be resumed. A study that has ended stays as it is."""
    store = store_of(request)
    check_owner(store, token, name)
    stopped = SubmissionQueue(store).stop(name)
    request.app.state.snapshots.forget_lists()
    return SubmissionOut.model_validate(stopped)


@router.post("/studies/{name:path}/resume", responses=answers(400, 401, 403, 404, 409, 413, 422, 429, 503))
def resume_study(request: Request, token: Submitter, name: Name, how: Resumption | None = None) -> SubmissionOut:
    """Continue a study that was stopped or has failed, with new code if you give some."""
    store = store_of(request)
    check_owner(store, token, name)
    how = how or Resumption()
    order = SubmissionTerms(
        submitter=token.user_name, code=how.code, workers=how.workers, data_may_differ=how.data_may_differ
    )
    resumed = SubmissionQueue(store).resume(name, order)
    request.app.state.snapshots.forget_lists()
    return SubmissionOut.model_validate(resumed)


@router.delete("/studies/{name:path}", status_code=204, responses=answers(401, 403, 404, 409, 422, 429, 503))
def delete_study(request: Request, token: Submitter, name: Name, afterwards: BackgroundTasks) -> None:
    """Delete a study that has ended, with its trials, logs, checkpoints and model."""
    delete_with_files(request, token, name, afterwards)


def delete_with_files(request: Request, token: TokenRecord, name: str, afterwards: BackgroundTasks) -> None:
    """Delete a study or comparison; its files go once the answer is given.

    Raises:
        NotAllowedError: it is another's.
        StudyNotFoundError, StudyInUseError, StudyNameTakenError: as `SubmissionQueue.delete`.
    """
    store = store_of(request)
    check_owner(store, token, name)
    left = SubmissionQueue(store).delete(name)
    request.app.state.snapshots.forget_lists()
    afterwards.add_task(try_to_remove_leftovers, store.database, left)


def check_owner(store: Store, token: TokenRecord, name: str) -> None:
    """Refuse to let somebody change another's study.

    Raises:
        NotAllowedError: it is another's.
        StudyNotFoundError: there is none of this name.
    """
    submission = SubmissionQueue(store).find(name)
    if submission is None and not store.studies(names=[name]):
        raise no_study(store, name)
    check_may_change(token, None if submission is None else submission.submitter, name)
