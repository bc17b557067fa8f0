"""A soak: one long study beside short ones that come and go, and what their processes hold as time goes by.

`python -m tests.benchmarks.scale.soak [MINUTES]`, an hour if left out; by hand, because it takes that long. The
coordinators, journals, PostgreSQL and Ray are the real ones; trainers only wait and report. Every quarter of a minute
a line of JSON goes to the standard output. At the end stands how each figure grew, from the mean of the second quarter
of the time to that of the last: the first quarter is left out, in which caches fill.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from bandstand.store.store import Store
from tests.benchmarks.measuring.cells import run_cell
from tests.benchmarks.measuring.results import Section
from tests.benchmarks.scale.light_trainers import LightTrainer, make_coordinator
from tests.benchmarks.scale.made_studies import made_spec
from tests.benchmarks.scheduling.coordinator import _start_ray as start_ray

__all__ = ["main", "soak"]

TRAINERS = 8
PROCESSES = 2
EPOCH_SECONDS = 0.5
SHORT_SECONDS = 30.0
SAMPLE_SECONDS = 15.0


def main(repeats: int, peers: bool, minutes: float = 60.0) -> Section:
    """The table of growth."""
    samples = run_cell(soak, minutes, timeout_seconds=60 * minutes + 900)
    return Section(title=f"A soak of {samples[-1]['minutes']:.0f} minutes", lines=growth_lines(samples))


def soak(minutes: float) -> list[dict[str, float]]:
    """Run studies for so long; what was seen, a sample every `SAMPLE_SECONDS`."""
    from bandstand.store.embedded import embedded_url

    url = embedded_url()
    store = Store(url)
    ray = start_ray()
    actor = ray.remote(num_cpus=0, max_concurrency=1_000)(LightTrainer)
    processes = [actor.remote(EPOCH_SECONDS) for _ in range(PROCESSES)]
    trainers = {f"trainer-{index}": processes[index % PROCESSES] for index in range(TRAINERS)}
    long = _spec("long", 60 * minutes)
    coordinator = make_coordinator(long, url)
    outcome = coordinator.run.remote(trainers)
    over = threading.Event()
    short = threading.Thread(target=_short_studies, args=(ray, url, trainers, over), daemon=True)
    short.start()
    samples: list[dict[str, float]] = []
    began = time.monotonic()
    while not ray.wait([outcome], timeout=SAMPLE_SECONDS)[0]:
        latencies = sorted(chain.from_iterable(ray.get([process.latencies.remote() for process in processes])))
        samples.append({"minutes": (time.monotonic() - began) / 60} | _held(store) | _waited(latencies))
        print(json.dumps(samples[-1]), flush=True)
    over.set()
    short.join()
    ended = ray.get(outcome)
    assert ended.state == "finished", ended
    ray.shutdown()
    store.close()
    return samples


def _spec(name: str, seconds: float) -> Any:
    settings = {"pruner": "asha", "sampler": "umda", "budget": {"wall_seconds": seconds}}
    return made_spec(name, trials=1, epochs=27, **settings)


def _short_studies(ray: Any, url: str, trainers: Mapping[str, Any], over: threading.Event) -> None:
    """One study after the other, each with a coordinator of its own that ends with it."""
    number = 0
    while not over.is_set():
        number += 1
        coordinator = make_coordinator(_spec(f"short-{number}", SHORT_SECONDS), url)
        ray.get(coordinator.run.remote(trainers))
        ray.kill(coordinator)


def _held(store: Store) -> dict[str, float]:
    """What the processes below this one, and the database, hold now."""
    us = psutil.Process()
    below = us.children(recursive=True)
    found: dict[str, float] = {
        "processes": 0,
        "files": 0,
        "coordinator MB": 0,
        "trainers MB": 0,
        "Ray MB": 0,
        "actors": 0,
    }
    coordinators = []
    for process in [us, *below]:
        try:
            name, memory = " ".join(process.cmdline())[:200], process.memory_info().rss / 1e6
            files, created = process.num_fds(), process.create_time()
        except psutil.Error:
            continue
        if "postgres" in name:
            continue
        found["processes"] += 1
        found["files"] += files
        if name.startswith("ray::Coordinator"):
            coordinators.append((created, memory))
            found["actors"] += 1
        elif name.startswith("ray::LightTrainer"):
            found["trainers MB"] += memory
            found["actors"] += 1
        elif process is not us:
            found["Ray MB"] += memory
    found["coordinator MB"] = min(coordinators)[1] if coordinators else 0.0  # the oldest: the long study's
    with store.database.reading() as connection:
        of_database = "FROM pg_stat_activity WHERE datname = current_database()"
        found["connections"] = connection.execute(sa.text(f"SELECT count(*) {of_database}")).scalar_one()
        size = connection.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one()
        found["database MB"] = size / 1e6
    return found


def _waited(latencies: Sequence[float]) -> dict[str, float]:
    if not latencies:
        return {"reports": 0, "median ms": 0.0, "99 % ms": 0.0}
    middle, high = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    return {"reports": len(latencies), "median ms": 1000 * middle, "99 % ms": 1000 * high}


def growth_lines(samples: Sequence[Mapping[str, float]]) -> list[str]:
    """A row for each figure: its mean in the second and in the last quarter of the samples, and the ratio."""
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    lines = ["| figure | second quarter | last quarter | ratio |", "| --- | --- | --- | --- |"]
    for name in samples[0]:
        if name != "minutes":
            before, after = (statistics.fmean(each[name] for each in part) for part in (early, late))
            lines.append(f"| {name} | {before:.1f} | {after:.1f} | {after / before if before else 1:.2f} |")
    return lines


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[3])  # Ray's processes import this module, too
    print("\n".join(growth_lines(soak(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))))
