"""What users ask of a study, in a real PostgreSQL: checked before it is written, taken once, answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from bandstand.errors import InputError, StudyNotFoundError
from bandstand.problem.budget import Budget
from bandstand.search.search import Search
from bandstand.store import study_writer, tables
from bandstand.store.monitoring.coordinator_counts import CoordinatorCounts
from bandstand.store.rows.request_rows import params_from
from bandstand.store.store import Store
from bandstand.store.study_writer import StudyWriter
from tests.service.store.written_study import flush, make_spec

PARAMS = {"zeta": 0.1, "alpha": True, "optimizer": "adam"}


@pytest.fixture
def writer(store: Store) -> Iterator[StudyWriter]:
    writer = store.claim(make_spec(sampler="random"), "a test")
    yield writer
    writer.close()


def test_a_request_is_there_until_it_is_granted_and_its_event_and_its_mark_are_one_transaction(
    store: Store, writer: StudyWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, search = writer.spec.name, Search(writer.spec)
    assert not writer.heartbeat().requests
    extension = store.requests.extend(name, Budget(epochs=60), by="ada")
    trial = store.requests.enqueue(name, PARAMS)
    assert extension < trial
    assert writer.heartbeat().requests
    assert [request.id for request in writer.open_requests()] == [extension, trial]
    assert search.requests.extend(extension, Budget(epochs=60), "ada") is None
    assert search.requests.enqueue(trial, PARAMS) is None

    def killed(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as death:
        death.setattr(study_writer.StudyWriter, "_answer", killed)
        rows = writer.rows_from(search.take_events(), search.history)
        with pytest.raises(RuntimeError):
            writer.write(rows)
    assert not writer.events(), "no event without its mark"
    assert len(writer.open_requests()) == 2
    writer.write(rows)
    assert not writer.heartbeat().requests
    restored = Search.restore(writer.spec, writer.events())
    assert restored.history.requests == {extension, trial}
    assert [(request.kind, request.by, request.answer, request.refused) for request in store.requests.read(name)] == [
        ("extend", "ada", None, False), ("enqueue", None, None, False),
    ]  # fmt: skip
    assert all(request.taken_at for request in store.requests.read(name))


def test_a_refused_request_keeps_its_sentence(store: Store, writer: StudyWriter) -> None:
    number = store.requests.extend(writer.spec.name, Budget(epochs=60))
    writer.refuse(number, "no")
    (request,) = store.requests.read(writer.spec.name)
    assert (request.answer, request.refused) == ("no", True)
    assert not writer.heartbeat().requests


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"epochs": 29}, "epochs is 30 now, got 29"),
        ({"epochs": 30}, "must raise a limit; the budget is 30 epochs now"),
        ({"epochs": 60, "trials": 5}, "the limits that the study has (epochs); got trials=5"),
    ],
)
def test_what_is_no_extension_is_refused_in_one_line_and_not_written(
    store: Store, writer: StudyWriter, limits: dict[str, int], words: str
) -> None:
    with pytest.raises(InputError, match=words) as refused:
        store.requests.extend(writer.spec.name, Budget(**limits))
    assert "\n" not in str(refused.value)
    assert store.requests.read(writer.spec.name) == []


def test_an_extension_must_be_more_than_one_that_waits(store: Store, writer: StudyWriter) -> None:
    store.requests.extend(writer.spec.name, Budget(epochs=60))
    with pytest.raises(InputError, match="epochs is 60 now, got 50"):
        store.requests.extend(writer.spec.name, Budget(epochs=50))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"zeta": 0.1, "alpha": True}, "got none for optimizer"),
        (PARAMS | {"zeta": 2.0}, "zeta must be"),
        (PARAMS | {"momentum": 0.5}, "momentum exists only with optimizer='sgd'"),
        (PARAMS | {"eta": 1}, "got 'eta'"),
    ],
)
def test_params_outside_the_space_are_refused_in_one_line_and_not_written(
    store: Store, writer: StudyWriter, params: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words) as refused:
        store.requests.enqueue(writer.spec.name, params)
    assert "\n" not in str(refused.value)
    assert store.requests.read(writer.spec.name) == []


def test_params_are_kept_in_the_space_s_order_and_whole_numbers_become_floats(
    store: Store, writer: StudyWriter
) -> None:
    store.requests.enqueue(writer.spec.name, {"alpha": True, "zeta": 1, "momentum": 0, "optimizer": "sgd"})
    (request,) = store.requests.read(writer.spec.name)
    assert repr(request.data) == "{'optimizer': 'sgd', 'momentum': 0.0, 'zeta': 1.0, 'alpha': True}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sampler": "pbt", "pruner": ""}, "sampler pbt takes no enqueued trials"),
        ({"executor": "tune"}, "under Ray Tune"),
    ],
)
def test_a_study_that_can_take_no_foreign_trial_says_why(store: Store, changes: dict[str, Any], words: str) -> None:
    spec = make_spec(**changes)
    store.claim(spec, "a test").close()
    with pytest.raises(InputError, match=words):
        store.requests.enqueue(spec.name, PARAMS)


def test_the_studies_of_a_comparison_and_unknown_ones_take_no_requests(store: Store, writer: StudyWriter) -> None:
    with pytest.raises(StudyNotFoundError):
        store.requests.extend("nobody", Budget(epochs=60))
    with store.database.connection() as connection, connection.begin():
        plan = {"name": f"plan-{writer.study_id}", "spec": {}, "arms": [], "repeats": 1}
        number = connection.execute(
            sa.insert(tables.comparison).values(plan).returning(tables.comparison.c.id)
        ).scalar()
        row = {"comparison_id": number, "arm": "a", "repeat": 1, "study_name": writer.spec.name}
        connection.execute(sa.insert(tables.comparison_study).values(row))
    try:
        with pytest.raises(InputError, match="equal budgets"):
            store.requests.extend(writer.spec.name, Budget(epochs=60))
    finally:
        with store.database.connection() as connection, connection.begin():
            connection.execute(sa.delete(tables.comparison).where(tables.comparison.c.id == number))


def test_a_finished_study_is_not_over_while_a_request_waits_and_is_no_longer_like_others_once_it_had_more(
    store: Store,
) -> None:
    spec = make_spec(data="requests:load")
    writer = store.claim(spec, "a test")
    writer.set_study(state="finished")
    assert store.is_over(spec.name)
    assert store.plans.finished_like([spec]) == {spec.name: [spec.name]}
    number = store.requests.extend(spec.name, Budget(epochs=60))
    assert not store.is_over(spec.name)
    search = Search(spec)
    search.requests.extend(number, Budget(epochs=60))
    flush(search, writer, mirror=False)
    writer.close()
    assert store.is_over(spec.name)
    assert store.plans.finished_like([spec]) == {spec.name: []}


def test_the_pulse_of_the_coordinator_that_has_the_study_is_read(store: Store) -> None:
    writer = store.claim(make_spec(), "a test")
    name = writer.spec.name
    assert store.monitoring.coordinator(name) is None
    figures = CoordinatorCounts(
        trainers=3, busy=2, trainer_seconds=30.0, idle_seconds=10.5, decisions=7, decision_seconds=0.01
    )
    writer.heartbeat(figures)
    status = store.monitoring.coordinator(name)
    assert status is not None
    assert (status.counts, status.holder) == (figures, "a test")
    assert status.heartbeat_at >= status.acquired_at
    writer.close()
    again = store.claim(writer.spec, "another")
    assert store.monitoring.coordinator(name) is None, "the figures of the one before are not its own"
    again.close()


def test_texts_are_read_as_the_parameter_s_kind_of_value(store: Store) -> None:
    space = make_spec().space
    texts = {"optimizer": "sgd", "momentum": "0", "zeta": "1e-3", "alpha": "false", "eta": "3"}
    assert repr(params_from(space, texts)) == (
        "{'optimizer': 'sgd', 'momentum': 0.0, 'zeta': 0.001, 'alpha': False, 'eta': '3'}"
    )
    assert params_from(space, {"zeta": "much"}) == {"zeta": "much"}
