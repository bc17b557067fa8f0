"""What a job says and returns when there is nothing for it to run; whole jobs are run in tests/end_to_end."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from bandstand.store.store import Store
from bandstand.study.states import RunState
from bandstand.submissions import ServerQueue, SubmissionQueue
from bandstand.submissions.job_instructions import begin_job, must_stop
from bandstand.submissions.queue import SubmissionTerms
from tests.end_to_end.harness.databases import make_database
from tests.service.store.written_study import make_spec

NAMES = (f"cluster-job-{number}" for number in itertools.count())


def run_job(run: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bandstand_workers", "job", run],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def queue_store(store: Store) -> Iterator[Store]:
    """A store without anybody else's submissions, which would be claimed first."""
    with closing(Store(make_database(store, "cluster-jobs"))) as own:
        yield own


@pytest.fixture
def dispatch(queue_store: Store) -> ServerQueue:
    return ServerQueue(queue_store, "a test")


def test_a_job_without_a_database_says_what_is_to_be_set(home) -> None:
    done = run_job("bandstand-1")
    assert (done.returncode, done.stdout) == (
        2,
        "bandstand: a job must get into the database; the server gives it no login of its own, and "
        "BANDSTAND_DATABASE_URL is not set on the Ray head: set it there, or do what `bandstand serve` says at its "
        "start\n",
    )


def test_a_job_of_no_run_says_so(store) -> None:
    done = run_job("bandstand-nobody", BANDSTAND_DATABASE_URL=store.database.url)
    assert (done.returncode, done.stderr) == (2, "")
    assert "the database has no run 'bandstand-nobody'" in done.stdout


def test_a_job_that_was_stopped_before_it_began_is_not_refused(queue_store, dispatch) -> None:
    spec = make_spec(name=next(NAMES))
    SubmissionQueue(queue_store).submit_study(spec, SubmissionTerms(submitter="ada"))
    run = dispatch.claim(per_user=9).run.id
    SubmissionQueue(queue_store).stop(spec.name)
    done = run_job(run, BANDSTAND_DATABASE_URL=queue_store.database.url)
    assert (done.returncode, done.stdout) == (2, "bandstand: the submission was stopped before its job began\n")
    ended = dispatch.end_run(run, RunState.FAILED, "its process ended with code 2")
    assert (ended.state, ended.outcome) == ("ended", "stopped")


def test_a_job_learns_that_it_must_stop_when_its_submission_stops_or_another_run_has_its_place(
    queue_store, dispatch
) -> None:
    spec = make_spec(name=next(NAMES))
    SubmissionQueue(queue_store).submit_study(spec, SubmissionTerms(submitter="ada"))
    run = dispatch.claim(per_user=9).run.id
    begin_job(queue_store, run)
    assert not must_stop(queue_store, run)
    SubmissionQueue(queue_store).stop(spec.name)
    assert must_stop(queue_store, run)
    dispatch.end_run(run, RunState.SUCCEEDED)
    SubmissionQueue(queue_store).resume(spec.name, SubmissionTerms(submitter="ada"))
    later = dispatch.claim(per_user=9).run.id
    assert must_stop(queue_store, run)
    assert not must_stop(queue_store, later)
    SubmissionQueue(queue_store).stop(spec.name)
    dispatch.end_run(later, RunState.FAILED)


def test_what_python_m_workers_does_not_know_it_says_in_a_line(home) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bandstand_workers", "jobs"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (2, "usage: python -m bandstand_workers [job RUN | dispatch]\n")
