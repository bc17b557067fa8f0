"""Events as databases of before hold them."""

import pytest

from bandstand.store.rows.event_rows import event_from
from bandstand.trials.events import Combined, Ended, Enqueued, Proposed, Started, TrialState


@pytest.mark.parametrize(
    ("kind", "data", "event"),
    [
        (
            "proposed",
            {"trial": 0, "params": {"rate": 0.1}, "granted": 3, "origin": ""},
            Proposed(trial=0, params={"rate": 0.1}, granted=3, origin=None),
        ),
        (
            "started",
            {"trial": 0, "attempt": 1, "from_epoch": 0, "worker": ""},
            Started(trial=0, attempt=1, from_epoch=0, worker=None),
        ),
        (
            "ended",
            {"trial": 0, "attempt": 1, "state": "failed", "reason": "budget", "message": "", "signature": ""},
            Ended(trial=0, attempt=1, state=TrialState.FAILED, reason="budget", message=None, signature=None),
        ),
        (
            "combined",
            {"how": "average", "trials": [1, 2], "taken": False, "value": None, "snapshot_value": 0.5, "uri": ""},
            Combined(how="average", trials=(1, 2), taken=False, value=None, snapshot_value=0.5, uri=None),
        ),
        ("enqueued", {"request": 7, "params": {}, "by": ""}, Enqueued(request=7, params={}, by=None)),
    ],
)
def test_an_empty_text_of_before_is_read_as_none(kind: str, data: dict[str, object], event: object) -> None:
    assert event_from(kind, data) == event


def test_a_text_that_is_there_is_read_as_it_is() -> None:
    told = event_from("enqueued", {"request": 7, "params": {"name": ""}, "by": "ada"})
    assert told == Enqueued(request=7, params={"name": ""}, by="ada")
