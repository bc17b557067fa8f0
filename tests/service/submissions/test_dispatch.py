"""What servers do with the queue: each submission has one run at a time, whoever dies."""

from __future__ import annotations

import dataclasses
import threading

import pytest
import sqlalchemy as sa

from bandstand.errors import InputError
from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.store import tables
from bandstand.study.states import RunState, SubmissionState
from bandstand.submissions import ServerQueue
from bandstand.submissions.job_instructions import begin_job, refuse_job
from bandstand.submissions.server_queue import MAX_ATTEMPTS
from bandstand.trials.events import Measured


def make_due(store):
    with store.database.connection() as connection, connection.begin():
        connection.execute(sa.update(tables.submission).values(not_before=None))


def silence(store, server):
    with store.database.connection() as connection, connection.begin():
        ago = sa.text("clock_timestamp() - interval '1 minute'")
        connection.execute(sa.update(tables.server).where(tables.server.c.id == server).values(heartbeat_at=ago))


def test_submissions_are_claimed_by_priority_then_by_age(queue, dispatch, spec, order):
    late, urgent, later = spec(), spec(), spec()
    for study, priority in ((late, 0), (urgent, 5), (later, 0)):
        queue.submit_study(study, dataclasses.replace(order, priority=priority))
    claimed = [dispatch.claim(per_user=9).submission.name for _ in range(3)]
    assert claimed == [urgent.name, late.name, later.name]
    assert dispatch.claim(per_user=9) is None


def test_a_user_has_no_more_runs_at_the_same_time_than_allowed(queue, dispatch, spec, order):
    for submitter in ("ada", "ada", "bob"):
        queue.submit_study(spec(), dataclasses.replace(order, submitter=submitter))
    claimed = [dispatch.claim(per_user=1).submission.submitter for _ in range(2)]
    assert sorted(claimed) == ["ada", "bob"]
    assert dispatch.claim(per_user=1) is None


def test_servers_that_claim_at_the_same_time_never_get_the_same_submission(store, queue, spec, order):
    studies = [spec() for _ in range(12)]
    for study in studies:
        queue.submit_study(study, order)
    claimed = []

    def claim_all():
        mine = ServerQueue(store, "a test")
        while (run := mine.claim(per_user=99)) is not None:
            claimed.append(run.submission.name)

    threads = [threading.Thread(target=claim_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(study.name for study in studies)


def test_the_runs_of_a_silent_server_are_taken_over_by_one_other(store, queue, dispatch, spec, order):
    queue.submit_study(spec(), order)
    run = dispatch.claim(per_user=9).run
    others = [ServerQueue(store, "another"), ServerQueue(store, "a third")]
    assert others[0].adopt() == []
    silence(store, dispatch.server)
    assert [one.run.id for one in others[0].adopt()] == [run.id]
    assert others[1].adopt() == []
    assert dispatch.held() == []


def test_a_server_that_comes_back_from_silence_is_entered_again(store, queue, dispatch, spec, order):
    queue.submit_study(spec(), order)
    dispatch.claim(per_user=9)
    dispatch.leave()
    dispatch.beat()
    assert ServerQueue(store, "another").adopt() == []


def test_a_run_that_dies_is_followed_by_another_after_a_while_until_it_is_enough(store, queue, dispatch, spec, order):
    study = spec()
    queue.submit_study(study, order)
    waits = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        claimed = dispatch.claim(per_user=9)
        assert claimed.run.number == attempt
        ended = dispatch.end_run(claimed.run.id, RunState.FAILED, "out of memory")
        if attempt < MAX_ATTEMPTS:
            assert ended.state is SubmissionState.QUEUED
            assert dispatch.claim(per_user=9) is None  # not yet
            waits.append(ended.not_before)
            make_due(store)
    assert waits == sorted(waits)
    assert (ended.state, ended.outcome) == (SubmissionState.ENDED, "failed")
    assert "5 times before its first epoch; the last time: out of memory" in ended.message
    assert store.progress(study.name).state == "failed"


def test_runs_that_bring_epochs_are_followed_by_others_without_end(store, queue, dispatch, spec, order):
    study = spec()
    queue.submit_study(study, order)
    for number in range(1, MAX_ATTEMPTS + 3):
        claimed = dispatch.claim(per_user=9)
        writer = store.claim(study, "a test")
        search = Search.restore(study, writer.events())
        for trial in search.history.trials:
            search.lost(trial.number, trial.attempt, "it died", blamed=False)
        given = search.next()
        search.report(
            given.trial,
            given.attempt,
            Measurement(epoch=given.from_epoch + 1, metrics={"val_loss": 1.0 / number, "loss": 0.5}),
        )
        events = search.take_events()
        assert any(isinstance(event, Measured) for event in events) or number > 1
        writer.write(writer.rows_from(events, search.history))
        writer.close()
        if not any(isinstance(event, Measured) for event in events):
            break
        assert dispatch.end_run(claimed.run.id, RunState.LOST, "a node went").attempts == 1
        make_due(store)


def test_ending_a_run_twice_changes_nothing(queue, dispatch, spec, order):
    queue.submit_study(spec(), order)
    run = dispatch.claim(per_user=9).run
    first = dispatch.end_run(run.id, RunState.FAILED, "gone")
    assert dispatch.end_run(run.id, RunState.FAILED, "gone again") == first
    assert [one.message for one in queue.runs(first.name)] == ["gone"]


def test_a_job_is_told_what_to_do_and_an_older_one_is_sent_away(store, queue, dispatch, spec, order):
    study = spec()
    queue.submit_study(study, dataclasses.replace(order, workers=3, labels={"zone": "a"}))
    old = dispatch.claim(per_user=9).run
    told = begin_job(store, old.id)
    assert (told.specs, told.workers, told.submitter, told.labels) == ([study], 3, "ada", {"zone": "a"})
    dispatch.end_run(old.id, RunState.LOST)
    make_due(store)
    dispatch.claim(per_user=9)
    with pytest.raises(InputError, match="an earlier run of this submission"):
        begin_job(store, old.id)


def test_what_the_job_refuses_is_not_tried_again(store, queue, dispatch, spec, order):
    study = spec()
    queue.submit_study(study, order)
    run = dispatch.claim(per_user=9).run
    begin_job(store, run.id)
    refuse_job(store, run.id, "model must be importable; 'a:build' is not")
    ended = dispatch.end_run(run.id, RunState.FAILED, "exit code 2")
    assert (ended.outcome, ended.message) == ("failed", "model must be importable; 'a:build' is not")
    assert store.progress(study.name).reason == ended.message


def test_a_log_is_kept_in_pieces_each_once(queue, dispatch, spec, order):
    queue.submit_study(spec(), order)
    run = dispatch.claim(per_user=9).run.id
    dispatch.append_log(run, 0, "one\n")
    dispatch.append_log(run, 4, "two\0\n")
    dispatch.append_log(run, 4, "two\0\n")
    assert queue.log(run) == "one\ntwo\N{REPLACEMENT CHARACTER}\n"
    assert queue.log(run, start=2, limit=4) == "e\ntw"
    assert queue.log(run, start=9) == ""


def test_a_vanished_coordinator_loses_its_lease(store, queue, dispatch, spec, order):
    study = spec()
    queue.submit_study(study, order)
    run = dispatch.claim(per_user=9).run.id
    writer = store.claim(study, "a machine that is gone")
    with store.database.connection() as connection, connection.begin():
        ago = sa.text("clock_timestamp() - interval '5 minutes'")
        connection.execute(
            sa.update(tables.lease).where(tables.lease.c.study_id == writer.study_id).values(heartbeat_at=ago)
        )
    assert dispatch.free_vanished(60.0) == [], "its run may still train"
    dispatch.end_run(run, RunState.LOST, "the machine is gone")
    assert dispatch.free_vanished(600.0) == []
    assert dispatch.free_vanished(60.0) == [study.name]
    successor = store.claim(study, "a successor")
    successor.close()
