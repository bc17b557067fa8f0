"""Submissions for the tests, in a queue that each test finds empty."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from bandstand.store import tables
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from bandstand.submissions import ServerQueue, SubmissionQueue
from bandstand.submissions.queue import SubmissionTerms
from tests.service.store.written_study import make_spec

NAMES = (f"submitted-{number}" for number in itertools.count())
SpecMaker = Callable[..., StudySpec]


@pytest.fixture
def queue(store: Store) -> Iterator[SubmissionQueue]:
    empty_queue(store)  # whatever other tests have left in it
    yield SubmissionQueue(store)
    empty_queue(store)


def empty_queue(store: Store) -> None:
    with store.database.connection() as connection, connection.begin():
        connection.execute(sa.delete(tables.submission))
        connection.execute(sa.delete(tables.server))


@pytest.fixture
def dispatch(store: Store, queue: SubmissionQueue) -> ServerQueue:
    return ServerQueue(store, "a test")


@pytest.fixture
def spec() -> SpecMaker:
    return lambda **changes: make_spec(**{"name": next(NAMES), **changes})


@pytest.fixture
def order() -> SubmissionTerms:
    return SubmissionTerms(submitter="ada")
