"""Requests are taken in once and only once, though the process that does it is killed at any moment."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest
import sqlalchemy as sa

from bandstand.problem.budget import Budget
from bandstand.search.search import Search
from bandstand.store import tables
from bandstand.store.store import Store
from tests.service.store.written_study import make_spec

# As a coordinator does it, without trainers: claim, rebuild, take in what waits, at each of its heartbeats.
TAKE_IN = """
import asyncio, sys
from bandstand.search.search import Search
from bandstand.store.store import Store
from bandstand_workers.coordinator.recording.user_requests import UserRequests
from bandstand_workers.coordinator.recording.journal import Journal

store = Store.open()
spec = store.spec(sys.argv[1])

async def run():
    writer = store.claim(spec, "a process")
    search = Search.restore(spec, writer.events())
    journal = Journal(search, writer, lambda: None)
    requests = UserRequests(search, writer, journal)
    writing = asyncio.create_task(journal.write_batches())
    print("claimed", flush=True)
    while True:
        heard = await journal.call(writer.heartbeat)
        if heard.requests:
            await requests.take()
        if heard.stop:
            break
        await asyncio.sleep(0.001)
    writing.cancel()
    await journal.close()

asyncio.run(run())
"""


def start(name: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", TAKE_IN, name], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    return process


@pytest.mark.slow
def test_requests_are_taken_once_though_the_process_that_takes_them_in_is_killed_at_any_moment(store: Store) -> None:
    spec, rng = make_spec(sampler="random"), random.Random(1)
    store.claim(spec, "a test").close()
    asked = []
    for round_ in range(8):
        process = start(spec.name)
        for index in range(5):
            params = {"optimizer": "adam", "zeta": 10 ** -(rng.uniform(0, 4)), "alpha": True}
            asked.append(store.requests.enqueue(spec.name, params))
            if index == 2:
                asked.append(store.requests.extend(spec.name, Budget(epochs=31 + round_)))
        time.sleep(rng.uniform(0, 0.03))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    last = start(spec.name)
    deadline = time.monotonic() + 60
    while any(request.taken_at is None for request in store.requests.read(spec.name)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert store.requests.stop(spec.name)
    assert last.wait(30) == 0

    event = tables.event
    with store.database.connection() as connection:
        study = connection.execute(sa.select(tables.study.c.id).where(tables.study.c.name == spec.name)).scalar_one()
        rows = connection.execute(sa.select(event.c.kind, event.c.data).where(event.c.study_id == study)).all()
    taken = Counter(row.data["request"] for row in rows if row.kind in ("extended", "enqueued"))
    assert taken == Counter(asked)
    assert all(request.answer is None for request in store.requests.read(spec.name))
    writer = store.claim(spec, "a test")
    history = Search.restore(spec, writer.events()).history
    writer.close()
    assert (list(history.enqueued), history.ledger.budget.epochs) == (
        [request.id for request in store.requests.read(spec.name) if request.kind == "enqueue"], 38,
    )  # fmt: skip
