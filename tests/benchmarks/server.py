"""The server under reads: 200 requests a second while 20 studies run, against an empty FastAPI route.

Requests are sent when they are due, whatever has become of those before them, and a latency is counted from then: a
server that falls behind cannot hide it. Studies are real rows of a real PostgreSQL that change meanwhile. Server,
client and database share the machine. Aim: the 99th percentile below 100 ms.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import quote

import psutil

from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.store.accounts import Role
from bandstand.store.store import Store
from bandstand.store.study_writer import StudyWriter
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action
from tests.benchmarks.measuring.cells import run_cell
from tests.benchmarks.measuring.results import Section

__all__ = ["main"]

AIM_SECONDS = 0.1
RATE = 200.0
SECONDS = 15.0
STUDIES = 20
TRIALS = 100
CHANGES_PER_SECOND = 20.0
CONNECTIONS = 32
PATHS = ("/studies", "/studies/{}", "/studies/{}", "/studies/{}/trials?limit=100", "/studies/{}/best", "/me")

_SERVE = """
import sys, uvicorn
from fastapi import FastAPI
if sys.argv[1] == "empty":
    app = FastAPI()
    @app.get("/{path:path}")
    def empty(path: str) -> dict[str, str]:
        return {}
else:
    from bandstand.api import ServerSettings, make_app
    from bandstand.store.store import Store
    app = make_app(Store.open(), ServerSettings(requests_per_second=10_000))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
"""


def main(repeats: int, peers: bool) -> Section:
    """Return latencies of both, and the server's memory."""
    results = [run_cell(measure) for _ in range(repeats)]
    lines = ["| route | median, ms | 99th percentile, ms | worst, ms | CPU, ms | aim | reached |", "| --- " * 7 + "|"]
    for name in ("an empty FastAPI route", "Bandstand, reads"):
        median, high, worst, cpu = (statistics.median(run[name][place] for run in results) * 1000 for place in range(4))
        ours = name.startswith("Bandstand")
        reached = f"{AIM_SECONDS * 1000:.0f} | {'yes' if high < AIM_SECONDS * 1000 else 'no'}" if ours else " | "
        lines.append(f"| {name} | {median:.1f} | {high:.1f} | {worst:.0f} | {cpu:.1f} | {reached} |")
    ratios = sorted(run["Bandstand, reads"][0] / run["an empty FastAPI route"][0] for run in results)
    highs = sorted(run["Bandstand, reads"][1] * 1000 for run in results)
    memory = max(run["memory"][0] for run in results)
    up = statistics.median(run["up"][0] for run in results)
    lines += [
        "",
        f"Median of {repeats} runs of {SECONDS:.0f} s. The median request takes {ratios[0]:.1f} to {ratios[-1]:.1f} "
        f"times as long as the empty route's; the 99th percentile was {highs[0]:.0f} to {highs[-1]:.0f} ms. CPU is the "
        "server process's a request, without PostgreSQL's. "
        f"The server is up in {up:.1f} s and has {memory:.0f} MB after the run.",
    ]
    title = f"The server under {RATE:.0f} reads a second, {STUDIES} studies with {TRIALS} trials running"
    return Section(title=title, lines=lines)


def measure() -> dict[str, tuple[float, ...]]:
    """Both servers, one after the other: median, 99th percentile and worst latency in seconds."""
    store = Store.open()
    token = store.accounts.create_token("a-benchmark", Role.VIEWER, days=1).text
    found: dict[str, tuple[float, ...]] = {}
    with running_studies(store) as names:
        for kind, name in (("empty", "an empty FastAPI route"), ("bandstand", "Bandstand, reads")):
            port = _free_port()
            begin = time.monotonic()
            process = subprocess.Popen([sys.executable, "-c", _SERVE, kind, str(port)])
            try:
                asyncio.run(_wait_until_up(port))
                up = time.monotonic() - begin
                asyncio.run(load(port, names, token, 2.0))
                before = _cpu_seconds(process.pid)
                latencies = sorted(asyncio.run(load(port, names, token, SECONDS)))
                cpu = (_cpu_seconds(process.pid) - before) / len(latencies)
                middle, high = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
                found[name] = (middle, high, latencies[-1], cpu)
                found["memory"] = (psutil.Process(process.pid).memory_info().rss / 1e6,)
                found["up"] = (up,)
            finally:
                process.terminate()
                process.wait(20)
    store.close()
    return found


@contextmanager
def running_studies(store: Store) -> Iterator[list[str]]:
    """Studies with trials that somebody holds, and that change as long as this lasts."""
    writers = []
    over = threading.Event()
    with ExitStack() as stack:
        for number in range(STUDIES):
            spec = _spec(f"benchmark-{time.time_ns()}-{number}")
            own = stack.enter_context(closing(Store(store.database.url)))  # each keeps a connection
            writer = stack.enter_context(closing(own.claim(spec, "a benchmark")))
            search = Search(spec)
            for _ in range(TRIALS):
                _train(search)
            _flush(search, writer)
            writers.append((search, writer))

        def change() -> None:
            for search, writer in itertools.cycle(writers):
                if over.wait(1 / CHANGES_PER_SECOND):
                    return
                _train(search)
                _flush(search, writer)

        thread = threading.Thread(target=change)
        thread.start()
        try:
            yield [writer.spec.name for _, writer in writers]
        finally:
            over.set()
            thread.join()


def _spec(name: str) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": name, "model": "a:build", "data": "a:load", "sampler": "random", "pruner": "asha", "max_epochs": 9,
            "space": {"rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}}, "budget": {"epochs": 10**6},
        }
    )  # fmt: skip


def _train(search: Search) -> None:
    """A trial from its beginning to its end."""
    given = search.next()
    assert given is not None
    for epoch in itertools.count(given.from_epoch + 1):
        verdict = search.report(
            given.trial, given.attempt, Measurement(epoch=epoch, metrics={"val_loss": random.random()}, seconds=1.0)
        )
        if verdict.action is not Action.CONTINUE:
            break
    if verdict.action is Action.STOP:
        search.finish(given.trial, given.attempt)


def _flush(search: Search, writer: StudyWriter) -> None:
    writer.write(writer.rows_from(search.take_events(), search.history))


async def load(port: int, names: list[str], token: str, seconds: float) -> list[float]:
    """The latencies of requests that are due at even intervals, in seconds."""
    due: asyncio.Queue[tuple[float, str] | None] = asyncio.Queue()
    latencies: list[float] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (work := await due.get()) is not None:
            at, path = work
            head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
            writer.write(head.encode())
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert b" 200 " in answer.partition(b"\r\n")[0], answer
            await reader.readexactly(int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            latencies.append(time.perf_counter() - at)
        writer.close()

    connections = [asyncio.create_task(connection()) for _ in range(CONNECTIONS)]
    begin = time.perf_counter()
    for number in range(int(seconds * RATE)):
        at = begin + number / RATE
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        path = PATHS[number % len(PATHS)].format(quote(names[number % len(names)]))
        due.put_nowait((at, path))
    for _ in connections:
        due.put_nowait(None)
    await asyncio.gather(*connections)
    return latencies


async def _wait_until_up(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def _cpu_seconds(process: int) -> float:
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
