"""What a job's own database login costs: the store's calls of one study as the tables' owner and as a job, in turns.

A batch is an epoch's worth of decisions: the events of a trial of two epochs with its checkpoints, written through
`StudyWriter` and shown to Optuna's tables. Two studies grow side by side, one for each login, on one PostgreSQL that
asks for passwords; each round writes to both, and which is first changes from round to round. Aim: no slower.
"""

from __future__ import annotations

import statistics
import time
from contextlib import closing

from bandstand.search.search import Search
from bandstand.store.job_logins.job_logins import JobLogins
from bandstand.store.job_logins.taking_up import take_up_login
from bandstand.store.store import Store
from tests.benchmarks.measuring.results import Section
from tests.postgres_server import PasswordServer, embedded_programs
from tests.service.store.test_job_logins import begin_run
from tests.service.store.written_study import flush, make_spec, train_one

BATCHES = 1_000
"""Of each side, for a repeat."""
ROUND = 20
"""Batches of a side before it is the other's turn."""


class Side:
    """One study and who writes it."""

    def __init__(self, team: Store, url: str, spec_name: str):
        self.spec = make_spec(name=spec_name, sampler="random", pruner="none", max_epochs=2, budget={"trials": 10**6})
        self.run = begin_run(team, self.spec)
        self.url = url

    def open(self) -> None:
        self.store = Store(self.url)
        self.writer = self.store.claim(self.spec, "a benchmark")
        self.search = Search.restore(self.spec, self.writer.events())
        self.writer.catch_up_mirror(self.search.history)
        self.search.begin()
        self.batches(ROUND)

    def batches(self, number: int) -> float:
        """Seconds that so many take to be written and mirrored; what they hold is decided before."""
        seconds = 0.0
        for _ in range(number):
            train_one(self.search)
            began = time.perf_counter()
            flush(self.search, self.writer)
            self.writer.heartbeat()
            seconds += time.perf_counter() - began
        return seconds

    def close(self) -> None:
        self.writer.close()
        self.store.close()


def main(repeats: int, peers: bool) -> Section:
    """Seconds of both, and their ratio with its spread."""
    lines: list[str] = []
    server = PasswordServer(embedded_programs())
    try:
        with closing(Store(server.make_database("measured"))) as team:
            logins = JobLogins(team.database)
            logins.prepare()
            for repeat in range(repeats):
                lines += _repeat(team, logins, repeat)
                print(lines[-1], flush=True)
    finally:
        server.end()
    return Section(title="A job's own database login, beside the server's", lines=["```", *lines, "```"])


def _repeat(team: Store, logins: JobLogins, repeat: int) -> list[str]:
    owner = Side(team, team.database.url, f"by the owner {repeat}")
    job = Side(team, "", f"by a job {repeat}")
    job.url = take_up_login(logins.create(job.run))
    for side in (owner, job):
        side.open()
    ratios, seconds = [], [0.0, 0.0]
    for number in range(BATCHES // ROUND):
        order = (owner, job) if number % 2 else (job, owner)
        took = {side: side.batches(ROUND) for side in order}
        ratios.append(took[job] / took[owner])
        seconds = [seconds[0] + took[owner], seconds[1] + took[job]]
    for side in (owner, job):
        side.close()
    logins.drop(job.run)
    low, middle, high = statistics.quantiles(ratios, n=4)
    each = " and ".join(f"{1e3 * one / BATCHES:.2f} ms" for one in seconds)
    return [
        f"  {BATCHES} batches each, the owner's and the job's: {each} a batch; a job takes {middle:.2f} times as long "
        f"(half of the rounds {low:.2f} to {high:.2f})"
    ]
