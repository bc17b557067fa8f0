"""How long thousands of workers wait for decisions: real decisions and real writes, in virtual time.

A worker's epoch takes 10 virtual seconds, 20 % more or less; its report then waits for as long as Search and the
study's writer really took for the batch it shares: whoever has arrived by virtual now is decided upon, written in one
transaction to the embedded PostgreSQL, and answered when both are done. That is what the journal does, save that it
decides upon those who come while it writes; here they wait. A trial that ends costs its worker two further batches, as
in the coordinator: its end is stored, then what the worker trains next. Workers begin spread over one epoch. Optuna's
tables are written outside the clock, as in a thread that nobody waits for. Ray is not here; `coordinator` has its cost.

ASHA's first rung is at epoch 1, so that trials end and begin all the time. Idle share: time in which workers waited,
over all their time; aim: at most 1 %. *answering* and *Optuna's tables* are the shares of the virtual time that the two
threads were really busy: near 100 % together, a process with one interpreter lock has no more to give.
"""

from __future__ import annotations

import heapq
import random
import time
from dataclasses import dataclass, field
from typing import Any

from bandstand.search.protocol import Assignment, Measurement
from bandstand.search.search import Search
from bandstand.store.store import Store
from bandstand.store.study_writer import StudyWriter
from bandstand.study.study_spec import study_spec_from
from bandstand.trials.events import Action
from tests.benchmarks.measuring.cells import run_cell
from tests.benchmarks.measuring.results import Section

__all__ = ["main"]

CELLS = (("random", 1_000), ("random", 10_000), ("tpe", 100))
"""Sampler and number of workers; the pruner is ASHA."""
AIM = 0.01
_EPOCH_SECONDS = 10.0
_SPREAD = 0.2
_WALL_SECONDS = 20.0
_EPOCHS_EACH = 60
"""A cell ends after so many epochs for each worker, or when answers have really taken `_WALL_SECONDS`."""


def main(repeats: int, peers: bool) -> Section:
    """Print and return the idle shares; the virtual epochs are the same each time, so one run of a cell will do."""
    columns = ["sampler", "workers", "virtual epochs", "trials", "idle share", "aim", "reached", "mean batch"]
    columns += ["mean wait", "longest", "answering", "Optuna's tables"]
    lines = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    print(*lines, sep="\n", flush=True)
    for sampler, workers in CELLS:
        found = run_cell(idle_share, sampler, workers)
        reached = "yes" if found["idle_share"] <= AIM else "no"
        line = (
            f"| {sampler} + asha | {workers} | {found['epochs']} in {found['virtual_seconds']:.0f} s | "
            f"{found['trials']} | {found['idle_share']:.2%} | {AIM:.0%} | {reached} | {found['batch']:.1f} | "
            f"{1e3 * found['wait']:.1f} ms | {1e3 * found['longest']:.0f} ms | {found['busy_share']:.0%} | "
            f"{found['mirror_share']:.0%} |"
        )
        print(line, flush=True)
        lines.append(line)
    return Section(title="Workers that wait for decisions, in virtual time", lines=lines)


@dataclass(kw_only=True, slots=True)
class Worker:
    """One virtual worker."""

    assignment: Assignment | None = None
    epoch: int = 0
    wants: str = "next"  # what it asks the next time: next, report or finish
    granted: bool = True  # whether the answer lets it train


@dataclass(kw_only=True)
class Tally:
    """Virtual and real seconds so far."""

    waited: float = 0.0
    trained: float = 0.0
    longest: float = 0.0
    answering: float = 0.0  # deciding and writing
    mirrored: float = 0.0  # writing Optuna's tables
    epochs: int = 0
    asked: int = 0
    batches: int = 0
    draws: random.Random = field(default_factory=lambda: random.Random(1))

    def epoch_seconds(self) -> float:
        """How long the next epoch takes."""
        seconds = _EPOCH_SECONDS * self.draws.uniform(1 - _SPREAD, 1 + _SPREAD)
        self.trained += seconds
        self.epochs += 1
        return seconds


def idle_share(sampler: str, workers: int) -> dict[str, float]:
    """One cell."""
    spec = study_spec_from(_settings(sampler), "benchmark")
    store = Store.open()
    writer, search, tally = store.claim(spec, "benchmark"), Search(spec), Tally()
    everybody = [Worker() for _ in range(workers)]
    arrivals = [(tally.draws.uniform(0, _EPOCH_SECONDS), number) for number in range(workers)]
    heapq.heapify(arrivals)
    now = 0.0
    while tally.epochs < _EPOCHS_EACH * workers and tally.answering < _WALL_SECONDS:
        now = max(now, arrivals[0][0])
        batch = []
        while arrivals and arrivals[0][0] <= now:
            batch.append(heapq.heappop(arrivals))
        now += _answer(batch, everybody, search, writer, tally)
        for arrived, number in batch:
            tally.waited += now - arrived
            tally.longest = max(tally.longest, now - arrived)
            trains = everybody[number].granted
            heapq.heappush(arrivals, (now + (tally.epoch_seconds() if trains else 0.0), number))
    writer.close()
    store.close()
    return {
        "epochs": tally.epochs,
        "virtual_seconds": now,
        "trials": len(search.history.trials),
        "idle_share": tally.waited / (tally.waited + tally.trained),
        "batch": tally.asked / tally.batches,
        "wait": tally.waited / tally.asked,
        "longest": tally.longest,
        "busy_share": tally.answering / now,
        "mirror_share": tally.mirrored / now,
    }


def _answer(
    batch: list[tuple[float, int]], everybody: list[Worker], search: Search, writer: StudyWriter, tally: Tally
) -> float:
    """Decide upon a batch and store it; returns how many seconds that really took."""
    began = time.perf_counter()
    for _, number in batch:
        _decide(everybody[number], search)
    events = search.take_events()
    rows = writer.rows_from(events, search.history)
    writer.write(rows)
    seconds = time.perf_counter() - began
    tally.answering += seconds
    writer.mirror(events, rows)
    tally.mirrored += time.perf_counter() - began - seconds
    tally.asked += len(batch)
    tally.batches += 1
    return seconds


def _decide(worker: Worker, search: Search) -> None:
    """What the coordinator does with one worker's word."""
    if worker.wants == "next":
        worker.assignment = search.next()
        worker.epoch, worker.wants, worker.granted = 1, "report", True
        assert worker.assignment is not None, "the budget is without end"
        return
    assert worker.assignment is not None
    trial, attempt = worker.assignment.trial, worker.assignment.attempt
    if worker.wants == "finish":
        search.finish(trial, attempt)
        worker.wants, worker.granted = "next", False
        return
    verdict = search.report(
        trial, attempt, Measurement(epoch=worker.epoch, metrics=_metrics(trial, worker.epoch), seconds=_EPOCH_SECONDS)
    )
    worker.granted = verdict.action is Action.CONTINUE
    worker.epoch += 1
    if not worker.granted:
        worker.wants = "finish"


def _metrics(trial: int, epoch: int) -> dict[str, float]:
    """A learning curve for each trial: it rises to a limit of its own."""
    limit = random.Random(trial).uniform(0.3, 0.99)
    accuracy = limit * (1 - 0.7**epoch)
    return {"loss": 1 - accuracy, "accuracy": accuracy, "val_loss": 1.1 - accuracy, "val_accuracy": accuracy}


def _settings(sampler: str) -> dict[str, Any]:
    return {
        "name": "decisions",
        "model": "bandstand_workers.models.digits_mlp:build",
        "data": "bandstand_workers.datasets.digits:load",
        "space": "digits_mlp",
        "objective": {"metric": "val_accuracy", "direction": "maximize"},
        "sampler": sampler,
        "pruner": "asha",
        "pruner_options": {"min_epochs": 1},
        "max_epochs": 27,
        "batch_size": "batch_size",
        "budget": {"trials": 10**9},
    }
