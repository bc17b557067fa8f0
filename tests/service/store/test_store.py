"""The store on a real PostgreSQL: what is written is durable, written once, by one writer, and Optuna sees it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import optuna
import pytest
import sqlalchemy as sa

from bandstand.errors import ForeignWriteError, LeaseLostError, StudyInUseError, StudyNameTakenError, StudyNotFoundError
from bandstand.optuna_storage import SoleWriterStorage
from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.store import study_writer, tables
from bandstand.store.optuna_mirror import OptunaMirror
from bandstand.store.store import Store
from bandstand.store.study_writer import StudyWriter
from bandstand.trials.events import Action, Measured
from tests.end_to_end.harness.databases import make_database
from tests.service.store.written_study import flush, make_spec, train_one


@pytest.fixture
def writer(store: Store) -> Iterator[StudyWriter]:
    writer = store.claim(make_spec(), "a test")
    writer.catch_up_mirror(Search(writer.spec).history)
    yield writer
    writer.close()


def study_in_optuna(store: Store, name: str) -> optuna.Study:
    return optuna.load_study(study_name=name, storage=store.database.url.replace("postgresql:", "postgresql+psycopg:"))


def test_a_search_read_back_from_the_store_goes_on_with_the_same_decisions(writer: StudyWriter) -> None:
    search = Search(writer.spec)
    for number in range(6):
        train_one(search, 1 / (1 + number))
        flush(search, writer, mirror=False)
    again = Search.restore(writer.spec, writer.events())
    assert [vars_of(trial) for trial in again.history.trials] == [vars_of(trial) for trial in search.history.trials]
    ours, theirs = search.next(), again.next()
    assert ours == theirs
    assert ours is not None and theirs is not None
    assert list(ours.params) == list(theirs.params)


def vars_of(trial: Any) -> dict[str, Any]:
    return {name: getattr(trial, name) for name in trial.__slots__}


def test_writing_a_batch_twice_changes_nothing(writer: StudyWriter, store: Store) -> None:
    search = Search(writer.spec)
    train_one(search)
    events = search.take_events()
    rows = writer.rows_from(events, search.history)
    writer.write(rows)
    writer.write(rows)
    assert writer.events() == events
    record = store.record(writer.spec.name)
    assert len(record.measurements) == record.trials["epochs"].sum() == 4


def test_nan_infinity_and_unstorable_characters_survive(writer: StudyWriter, store: Store) -> None:
    search = Search(writer.spec)
    train_one(search, metrics={"odd": float("nan"), "odder": float("-inf")})
    assignment = search.next()
    assert assignment is not None
    search.fail(assignment.trial, 1, "exception", "a NUL \x00 and half a pair \ud800", detail="\x00")
    flush(search, writer)
    record = store.record(writer.spec.name)
    assert record.measurements["odd"].isna().all()
    assert (record.measurements["odder"] == float("-inf")).all()
    assert record.trials["message"][1] == "a NUL � and half a pair ?"
    measured = next(event for event in writer.events() if isinstance(event, Measured))
    assert measured.metrics["odder"] == float("-inf")
    assert study_in_optuna(store, writer.spec.name).trials[1].state.name == "FAIL"


def test_params_come_back_as_they_went_in_with_types_and_order(writer: StudyWriter, store: Store) -> None:
    search = Search(writer.spec)
    for _ in range(8):
        train_one(search)
    flush(search, writer)
    expected = [dict(trial.params) for trial in search.history.trials]
    stored = [trial.params for trial in Search.restore(writer.spec, writer.events()).history.trials]
    in_optuna = [trial.params for trial in study_in_optuna(store, writer.spec.name).trials]
    for before, ours, theirs in zip(expected, stored, in_optuna, strict=True):
        assert list(ours.items()) == list(before.items())
        assert theirs == before
        assert type(ours["alpha"]) is type(theirs["alpha"]) is bool
        assert ("momentum" in ours) == (ours["optimizer"] == "sgd")


def test_a_second_writer_is_refused_with_the_name_of_the_first(
    writer: StudyWriter, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bandstand.store.rows.study_rows._KILLED_HOLDER_SECONDS", 0.3)
    with pytest.raises(StudyInUseError, match="a test runs this one since"):
        store.claim(writer.spec, "another test")


def test_a_closed_writer_gives_its_study_back(store: Store) -> None:
    spec = make_spec()
    store.claim(spec, "first").close()
    second = store.claim(spec, "second")
    assert store.progress(spec.name).state == "running"
    second.close()
    assert store.progress(spec.name).state == "interrupted"


def test_another_spec_of_the_same_name_is_refused_and_so_is_another_order_of_its_space(store: Store) -> None:
    spec = make_spec()
    store.claim(spec, "first").close()
    with pytest.raises(StudyNameTakenError, match="seed: 7 here, 0 stored"):
        store.check_name(make_spec(name=spec.name, seed=7))
    turned = dict(reversed(list(spec.space.to_dict().items())))
    with pytest.raises(StudyNameTakenError, match="space"):
        store.check_name(make_spec(name=spec.name, space=turned))
    assert store.check_name(make_spec(name=spec.name))


def test_names_with_markup_and_foreign_letters_are_kept(store: Store) -> None:
    spec = make_spec(name="<script>alert('Ärger')</script> 试验")
    store.claim(spec, "first").close()
    assert store.record(spec.name).spec == spec
    with pytest.raises(StudyNotFoundError, match="there is no study 'nobody'"):
        store.record("nobody")


def kill_connection_of(writer: StudyWriter, store: Store) -> None:
    with store.database.engine.connect() as connection:
        lock = sa.text("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = :cls AND objid = :id")
        pid = connection.execute(lock, {"cls": tables.LEASE_CLASS, "id": writer.study_id}).scalar_one()
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})


def test_a_broken_connection_is_made_again_and_nothing_is_lost_or_doubled(writer: StudyWriter, store: Store) -> None:
    search = Search(writer.spec)
    train_one(search)
    flush(search, writer)
    kill_connection_of(writer, store)
    train_one(search)
    flush(search, writer)
    assert len(store.record(writer.spec.name).trials) == 2
    assert len(writer.events()) == len({id(event) for event in writer.events()})
    assert Search.restore(writer.spec, writer.events()).history.ledger.epochs == search.history.ledger.epochs


def test_who_lost_the_lease_cannot_write_any_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_writer, "_RECONNECT_SECONDS", 3.0)
    spec = make_spec()
    first = store.claim(spec, "first")
    search = Search(spec)
    train_one(search)
    kill_connection_of(first, store)
    second = store.claim(spec, "second")
    with pytest.raises(LeaseLostError, match="another coordinator"):
        flush(search, first, mirror=False)
    assert second.events() == []
    second.close()


def test_who_lost_the_lease_cannot_write_even_when_the_next_holder_is_gone_again(store: Store) -> None:
    spec = make_spec()
    first = store.claim(spec, "first")
    search = Search(spec)
    train_one(search)
    kill_connection_of(first, store)
    store.claim(spec, "second").close()
    with pytest.raises(LeaseLostError, match="another coordinator"):
        flush(search, first, mirror=False)


def test_optuna_catches_up_with_what_a_killed_writer_left_out(writer: StudyWriter, store: Store) -> None:
    search = Search(writer.spec)
    train_one(search)
    flush(search, writer)
    train_one(search, 0.1)
    assignment = search.next()
    assert assignment is not None
    search.report(assignment.trial, assignment.attempt, Measurement(epoch=1, metrics={"val_loss": 0.7, "loss": 0.7}))
    flush(search, writer, mirror=False)  # killed before Optuna's tables followed
    assert len(study_in_optuna(store, writer.spec.name).trials) == 1
    writer.catch_up_mirror(search.history)
    trials = study_in_optuna(store, writer.spec.name).trials
    assert [trial.state.name for trial in trials][:2] == ["COMPLETE", "COMPLETE"]
    assert trials[2].intermediate_values == {1: 0.7}
    assert [trial.number for trial in trials] == [0, 1, 2]
    assert trials[1].user_attrs["reason"] == "max_epochs"
    assert study_in_optuna(store, writer.spec.name).metric_names == ["val_loss"]


def test_a_batch_that_optunas_tables_refuse_leaves_nothing_there_until_they_catch_up(
    writer: StudyWriter, store: Store
) -> None:
    study = study_in_optuna(store, writer.spec.name)
    search = Search(writer.spec)
    assignment = search.next()
    assert assignment is not None
    flush(search, writer)
    train_one(search)
    search.report(assignment.trial, assignment.attempt, Measurement(epoch=1, metrics={"val_loss": 0.7, "loss": 0.7}))
    study.tell(0, state=optuna.trial.TrialState.FAIL)
    with pytest.raises(ForeignWriteError):
        flush(search, writer)
    assert [trial.state.name for trial in study.trials] == ["FAIL"]
    writer.catch_up_mirror(search.history)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE"]
    assert writer.events()


def test_what_others_write_in_optunas_tables_is_kept(writer: StudyWriter, store: Store) -> None:
    study = study_in_optuna(store, writer.spec.name)
    search = Search(writer.spec)
    train_one(search)
    flush(search, writer)
    study.set_user_attr("mine", "a note")
    study.add_trial(optuna.trial.create_trial(value=0.0))
    train_one(search)
    flush(search, writer)
    writer.catch_up_mirror(search.history)
    assert study.user_attrs["mine"] == "a note"
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    assert [trial.user_attrs.get("bandstand:trial") for trial in study.trials] == [0, None, 1]


def test_a_study_deleted_in_optuna_is_made_again_from_the_events(writer: StudyWriter, store: Store) -> None:
    search = Search(writer.spec)
    train_one(search)
    flush(search, writer)
    url = store.database.url.replace("postgresql:", "postgresql+psycopg:")
    optuna.delete_study(study_name=writer.spec.name, storage=url)
    writer.catch_up_mirror(search.history)
    assert len(study_in_optuna(store, writer.spec.name).trials) == 1


def test_a_database_user_called_bandstand_gets_two_schemas_that_do_not_mix(store: Store) -> None:
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("CREATE ROLE bandstand LOGIN"))
        connection.execute(sa.text("CREATE DATABASE owned OWNER bandstand"))
    url = store.database.url.replace("postgres@", "bandstand@").replace("/bandstand?", "/owned?")
    theirs = Store(url)
    spec = make_spec()
    for _ in range(2):  # the second time finds the tables that the first has made
        theirs.claim(spec, "bandstand").close()
    assert [study.name for study in theirs.studies()] == [spec.name]
    assert study_in_optuna(theirs, spec.name).trials == []
    theirs.close()


def test_catching_up_waits_for_what_a_killed_predecessor_has_under_way(store: Store, writer: StudyWriter) -> None:
    search = Search(writer.spec)
    search.next()
    flush(search, writer, mirror=False)
    predecessor = SoleWriterStorage(store.database.url)
    study_id = predecessor.get_study_id_from_name(writer.spec.name)
    added = threading.Event()

    def write_slowly() -> None:
        with predecessor.batch():
            predecessor.create_new_trial(
                study_id,
                optuna.trial.create_trial(state=optuna.trial.TrialState.WAITING, user_attrs={"bandstand:trial": 0}),
            )
            added.set()
            time.sleep(0.5)

    thread = threading.Thread(target=write_slowly)
    thread.start()
    assert added.wait(10)
    writer.catch_up_mirror(search.history)
    thread.join()
    assert len(predecessor.get_all_trials(study_id)) == 1
    predecessor.refresh(study_id)
    assert len(predecessor.get_all_trials(study_id)) == 1
    predecessor.close()


def test_an_attempt_has_its_worker_and_ends_when_it_pauses_not_when_its_trial_is_retired(store: Store) -> None:
    writer = store.claim(make_spec(pruner="asha-promote", sampler="random", pruner_options={"min_epochs": 1}), "a test")
    search = Search(writer.spec)
    writer.catch_up_mirror(search.history)
    for worker in ("trainer-1", "trainer-2"):
        given = search.next(worker=worker)
        assert given is not None
        verdict = search.report(
            given.trial, given.attempt, Measurement(epoch=1, metrics={"val_loss": 0.5 + given.trial}, seconds=0.1)
        )
        assert verdict.action is Action.PAUSE
        search.checkpointed(given.trial, given.attempt, 1, "/checkpoints/1")
        search.paused(given.trial, given.attempt)
    flush(search, writer)
    paused = store.record(writer.spec.name).attempts
    assert list(paused["worker"]) == ["trainer-1", "trainer-2"]
    assert list(paused["outcome"]) == ["paused", "paused"]
    search.spend(wall_seconds=0.0)
    search.history.ledger.booked_epochs = 30  # nothing is left, so that both are retired
    search.conclude()
    flush(search, writer)
    writer.close()
    record = store.record(writer.spec.name)
    assert set(record.trials["state"]) <= {"pruned", "complete"}
    assert list(record.attempts["ended_at"]) == list(paused["ended_at"])
    assert list(record.attempts["outcome"]) == ["paused", "paused"]


def test_a_study_was_run_while_its_time_was_booked_and_paused_in_between(writer: StudyWriter, store: Store) -> None:
    search = Search(writer.spec)
    for seconds in (20.0, 7.0, 30.0):
        search.spend(wall_seconds=seconds)
    flush(search, writer, mirror=False)
    event, earlier = tables.event.c, tables.event.c.created_at - sa.text("interval '1 hour'")
    with store.database.engine.begin() as connection:
        bookings = connection.scalars(sa.select(event.seq).where(event.kind == "spent").order_by(event.seq)).all()
        connection.execute(sa.update(tables.event).where(event.seq.in_(bookings[:2])).values(created_at=earlier))
    first, second = store.record(writer.spec.name).runs
    assert (first[1] - first[0]).total_seconds() == pytest.approx(20.0, abs=5.0)
    assert (second[1] - second[0]).total_seconds() == pytest.approx(30.0, abs=0.1)
    assert 3500 < (second[0] - first[1]).total_seconds() < 3600


def test_where_a_checkpoint_was_refused_the_next_attempt_s_of_the_same_epoch_takes_its_place(store: Store) -> None:
    writer = store.claim(make_spec(), "a test")
    search = Search(writer.spec)
    writer.catch_up_mirror(search.history)
    for attempt in (1, 2):
        given = search.next()
        assert given is not None
        assert (given.attempt, given.from_epoch) == (2 * attempt - 1, 0)
        search.report(given.trial, given.attempt, Measurement(epoch=1, metrics={"val_loss": 0.5}, seconds=0.1))
        search.checkpointed(given.trial, given.attempt, 1, f"/checkpoints/{attempt}")
        flush(search, writer)
        assert writer.checkpoint_uri(given.trial, 1) == f"/checkpoints/{attempt}"
        search.lost(given.trial, given.attempt, "killed", blamed=False)
        again = search.next()
        assert again is not None
        search.refuse_checkpoint(again.trial, again.attempt, "it is damaged")
        flush(search, writer)
    writer.close()
    record = store.record(writer.spec.name)
    assert list(record.attempts["outcome"]) == ["lost"] * 4
    assert len(record.measurements) == 1


def test_a_study_whose_creation_was_cut_off_between_optunas_tables_and_ours_is_created(store: Store) -> None:
    spec = make_spec()
    mirror = OptunaMirror(store.database.url, spec)
    mirror.create_study()
    mirror.close()
    store.claim(spec, "a test").close()
    assert store.spec(spec.name) == spec


def test_making_and_upgrading_optunas_tables_leaves_the_logging_of_the_process_as_it_is(
    store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    ours, root = logging.getLogger("bandstand.of_a_test"), logging.getLogger()
    before = root.level, root.handlers[:]
    url = make_database(store, "quiet")
    opened = Store(url)
    opened.claim(make_spec(), "a test").close()
    OptunaMirror.upgrade(url)
    opened.close()
    assert not ours.disabled
    assert (root.level, root.handlers) == before
    assert "alembic" not in capfd.readouterr().err
