"""Words for where studies and submissions stand: those of the database, and one answer to whether something is over."""

from __future__ import annotations

from bandstand.api.pages.content.listing import STATES as SHOWN_STATES
from bandstand.api.schemas.answers import SubmissionOut
from bandstand.store.reading.study_list import STATES as LISTED_STATES
from bandstand.study.states import StudyState, SubmissionKind, SubmissionState

QUEUED = {
    "name": "a", "submitter": "ada", "code": None, "workers": None, "priority": 0, "labels": {}, "attempts": 0,
    "not_before": None, "queued_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z", "ended_at": None,
    "kind": SubmissionKind.STUDY, "state": SubmissionState.QUEUED, "outcome": None, "message": None,
}  # fmt: skip


def test_every_state_that_is_listed_or_shown_is_one_of_a_study() -> None:
    known = {str(state) for state in StudyState}
    assert {*LISTED_STATES, *SHOWN_STATES} == known - {"deleted"}


def test_what_has_ended_is_what_nobody_goes_on_with_unasked() -> None:
    assert {str(state) for state in StudyState if state.has_ended} == {"stopped", "finished", "failed", "deleted"}


def test_an_answer_has_an_empty_text_where_nothing_is_said() -> None:
    told = SubmissionOut.model_validate(QUEUED).model_dump(mode="json")
    assert (told["outcome"], told["message"], told["state"], told["kind"]) == ("", "", "queued", "study")
