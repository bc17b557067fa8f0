"""Many workers on the real store: the real Search, journal and writer on an embedded PostgreSQL, with nobody training.

A worker is a task that asks for a trial, waits for its epochs, reports each and waits until the answer is durable, as a
coordinator's trainers do; only Ray and Keras are not there (`coordinator` has Ray's cost). 1,000 workers share one
study; then 20 studies run at once with 50 workers each, each study with a store, a writer and a journal of its own, in
one process. An epoch takes 10 s for one study's workers, so that 100 reports a second are due, and ASHA begins and ends
trials all the time. Latency is from the report to the durable answer. Connections are counted by PostgreSQL, files and
memory by the kernel; they are taken in the middle and at the end, and should be the same.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from contextlib import suppress
from functools import partial
from typing import Any

import psutil
import sqlalchemy as sa

from bandstand.search.search import Search
from bandstand.store.store import Store
from bandstand.trials.events import Action
from bandstand_workers.coordinator.recording.journal import Journal
from tests.benchmarks.measuring.cells import run_cell
from tests.benchmarks.measuring.results import Section
from tests.benchmarks.scale.made_studies import made_spec, measurement_of

__all__ = ["main"]

CELLS = ((1, 1_000), (20, 50))
"""Studies, and workers of each."""
EPOCH_SECONDS = 10.0
SECONDS = 60.0


def main(repeats: int, peers: bool) -> Section:
    """A row for each cell."""
    columns = ["studies", "workers each", "reports/s", "due", "events/s", "median, ms", "99th percentile, ms"]
    columns += ["connections, middle", "end", "files, middle", "end", "MB, middle", "end"]
    lines = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    for studies, workers in CELLS:
        found = run_cell(work, studies, workers)
        cells = [f"{value:,.0f}" for value in found]
        cells[5] = f"{found[5]:.1f}"
        lines.append(f"| {' | '.join(cells)} |")
    return Section(title=f"Many workers and many studies on one database, {SECONDS:.0f} s each", lines=lines)


def work(studies: int, workers: int) -> list[float]:
    """The numbers of one row."""
    return asyncio.run(_work(studies, workers))


async def _work(studies: int, workers: int) -> list[float]:
    running = [_Study(f"many-{number}", workers) for number in range(studies)]
    began = time.monotonic()
    tasks = [asyncio.create_task(study.run(began + SECONDS)) for study in running]
    await asyncio.sleep(SECONDS / 2)
    middle = _held(running[0].store)
    await asyncio.sleep(began + SECONDS - time.monotonic() - 2.0)
    end = _held(running[0].store)
    await asyncio.gather(*tasks)
    seconds = time.monotonic() - began
    latencies = sorted(latency for study in running for latency in study.latencies)
    median, high = statistics.median(latencies), latencies[len(latencies) * 99 // 100]
    events = sum(study.events for study in running)
    due = studies * workers / EPOCH_SECONDS
    row = [studies, workers, len(latencies) / seconds, due, events / seconds, 1000 * median, 1000 * high]
    return [float(value) for value in [*row, *(each for pair in zip(middle, end, strict=True) for each in pair)]]


class _Study:
    """One study with its store, and those who work for it."""

    def __init__(self, name: str, workers: int):
        spec = made_spec(name, trials=10**6, epochs=27, pruner="asha")
        self.store = Store.open()
        self.writer = self.store.claim(spec, "a benchmark")
        self.search = self.writer.replay(partial(Search.restore, spec))
        self.journal = Journal(self.search, self.writer, lambda: None)
        self.latencies: list[float] = []
        self._workers = workers

    @property
    def events(self) -> int:
        """That are stored."""
        return self.writer.last_event

    async def run(self, deadline: float) -> None:
        """Work until then."""
        writing = asyncio.create_task(self.journal.write_batches())
        dice = random.Random(self._workers)
        await asyncio.gather(*(self._serve(deadline, dice) for _ in range(self._workers)))
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        await self.journal.close()
        self.store.close()

    async def _serve(self, deadline: float, dice: random.Random) -> None:
        await asyncio.sleep(dice.uniform(0, EPOCH_SECONDS))
        while time.monotonic() < deadline:
            given: Any = self.search.next()
            await self.journal.durable()
            epoch = given.from_epoch
            action = Action.CONTINUE
            while action is Action.CONTINUE and time.monotonic() < deadline:
                await asyncio.sleep(EPOCH_SECONDS * dice.uniform(0.8, 1.2))
                epoch += 1
                asked = time.perf_counter()
                action = self.search.report(given.trial, given.attempt, measurement_of(given, epoch)).action
                await self.journal.durable()
                self.latencies.append(time.perf_counter() - asked)
            if action is Action.STOP:
                self.search.finish(given.trial, given.attempt)


def _held(store: Store) -> tuple[int, int, float]:
    """Connections, open files and megabytes."""
    of_database = "FROM pg_stat_activity WHERE datname = current_database()"
    with store.database.reading() as connection:
        connections = connection.execute(sa.text(f"SELECT count(*) {of_database}")).scalar_one()
    process = psutil.Process()
    return int(connections), process.num_fds(), process.memory_info().rss / 1e6
