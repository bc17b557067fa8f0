"""How many reports a second one coordinator answers, with trainers that do nothing but report.

The coordinator is the real actor, with the real Search, journal and embedded PostgreSQL; an answer is durable when it
is given. A trainer is a task of an asynchronous Ray actor with the methods that the coordinator calls: 64 trainers are
two such actors under 64 names, because 64 processes would measure how two cores switch between them. Each trainer sends
a report of four metrics, waits for the answer, and sends the next; a trial has 200 epochs, random params of digits_mlp
and no pruner, so that reports are nearly all there is. The rate is taken from the times at which rows were written.

Beside it, what the parts of an answer take by themselves: the same reporters against an actor that answers at once
(Ray's share), and Search, rows, transaction and Optuna's tables in this process, in batches as large as the trainers
are many. Aim: 2,000 reports a second with 64 trainers.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from bandstand.running.messages import Conditions
from bandstand.search.protocol import Assignment, Measurement
from bandstand.search.search import Search
from bandstand.store.store import Store
from bandstand.study.study_spec import Resources, StudySpec, study_spec_from
from bandstand.trials.code_fingerprint import CodePrint
from bandstand.trials.events import Action
from bandstand_workers.messages import Inputs, Outcome
from tests.benchmarks.measuring.cells import run_cell
from tests.benchmarks.measuring.results import Section

__all__ = ["main"]

TRAINERS = (1, 8, 64)
AIM = 2_000
_EPOCHS = 200
_EPOCH_SECONDS = 0.01
_SECONDS = 8.0
_PROCESSES = 2
_METRICS = {"loss": 0.5, "accuracy": 0.8, "val_loss": 0.6, "val_accuracy": 0.75}


def main(repeats: int, peers: bool) -> Section:
    """Print and return the rates and the parts."""
    lines = ["| trainers | reports a second | least | most | Ray alone |", "| --- | --- | --- | --- | --- |"]
    print(*lines, sep="\n", flush=True)
    for trainers in TRAINERS:
        rates = [run_cell(coordinator_rate, trainers) for _ in range(repeats)]
        ray_rate = run_cell(ray_rate_alone, trainers)
        line = f"| {trainers} | {statistics.median(rates):.0f} | {min(rates):.0f} | {max(rates):.0f} | {ray_rate:.0f} |"
        print(line, flush=True)
        lines.append(line)
    parts = run_cell(parts_of_an_answer, TRAINERS[-1])
    reached = "reached" if statistics.median(rates) >= AIM else "not reached"
    lines += ["", f"Aim: {AIM} a second with {TRAINERS[-1]} trainers: {reached}. There, a report takes", ""]
    lines += [f"* {1e6 / statistics.median(rates):.0f} µs in all", f"* {1e6 / ray_rate:.0f} µs in Ray alone"]
    lines += [f"* {microseconds:.0f} µs in {part}" for part, microseconds in parts.items()]
    lines += ["", "Ray Tune is not measured: each of its trials is a process, and 64 would measure the machine."]
    return Section(title="Reports that one coordinator answers", lines=lines)


class Reporter:
    """Many trainers in one process: each call of `train` is one trainer's training."""

    def prepare(self, spec: Mapping[str, Any], check: bool) -> None:
        """As `Trainer.prepare`."""

    def baseline_memory_bytes(self) -> int:
        """As `Trainer.baseline_memory_bytes`."""
        return 1

    def memory_bytes(self) -> int:
        """As `Trainer.memory_bytes`."""
        return 1

    def inputs(self) -> Inputs:
        """As `Trainer.inputs`."""
        return Inputs(data={}, remarks=(), code=CodePrint(python="", parts={}))

    def wait_for_checkpoints(self) -> None:
        """As `Trainer.wait_for_checkpoints`."""

    def evaluate(self, model_uri: str, params: Mapping[str, Any], split: str, members: int = 1) -> None:
        """As `Trainer.evaluate`."""

    async def train(
        self, coordinator: Any, assignment: Assignment, folder: str, resume_uri: str | None, seconds_left: float | None
    ) -> Outcome:
        """As `Trainer.train`, without training."""
        trial, attempt = assignment.trial, assignment.attempt
        unsent: list[Measurement] = []
        under_way: asyncio.Future[Any] | None = None
        for epoch in range(1, _EPOCHS + 1):
            await asyncio.sleep(_EPOCH_SECONDS)
            unsent.append(Measurement(epoch=epoch, metrics=_METRICS, seconds=0.01, learning_rate=0.01))
            if under_way is not None and (epoch == _EPOCHS or under_way.done()):
                verdict, under_way = await under_way, None
                if verdict is None or verdict.action is not Action.CONTINUE:
                    break
            if under_way is None:
                under_way = asyncio.ensure_future(_answer(coordinator.report.remote(trial, attempt, unsent)))
                unsent = []
        if under_way is not None:
            await under_way
        return Outcome(action=Action.STOP)

    async def report_to(self, answerer: Any, seconds: float) -> int:
        """Report for so long; returns how often."""
        deadline, count = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            count += 1
            measurement = Measurement(epoch=count, metrics=_METRICS, seconds=0.01, learning_rate=0.01)
            await answerer.report.remote(0, 1, [measurement])
        return count


async def _answer(call: Any) -> Any:
    return await call


class Answerer:
    """An actor that answers as the coordinator does, at once."""

    async def report(self, trial: int, attempt: int, measurements: list[Measurement]) -> Any:
        """As `Coordinator.report`."""
        from bandstand.search.protocol import Verdict

        return Verdict(action=Action.CONTINUE, until_epoch=_EPOCHS)


def coordinator_rate(trainers: int) -> float:
    """Reports a second that were stored, over the time of a study."""
    from bandstand.store.embedded import embedded_url

    url = embedded_url()
    Store(url).close()  # makes the tables
    ray = _start_ray()
    from bandstand_workers.coordinator.coordinator import CoordinatorActor

    file, path = tempfile.mkstemp()
    with os.fdopen(file, "w") as handle:
        handle.write(url)
    spec = _spec(budget={"wall_seconds": _SECONDS})
    coordinator = CoordinatorActor.remote(path, spec.model_dump(mode="json"), tempfile.mkdtemp(), Conditions())
    outcome = ray.get(coordinator.run.remote(_make_trainers(ray, trainers)))
    ray.shutdown()
    assert outcome.state == "finished", outcome
    return _rate_of(Store(url), spec)


def _rate_of(store: Store, spec: StudySpec) -> float:
    """Of the middle of a study, without the time in which processes warm up."""
    times = store.record(spec.name).measurements["created_at"].sort_values()
    store.close()
    first, last = times.iloc[0], times.iloc[-1]
    middle = times[(times > first + (last - first) / 4)]
    return float(len(middle) / (middle.iloc[-1] - middle.iloc[0]).total_seconds())


def ray_rate_alone(trainers: int) -> float:
    """Reports a second to an actor that only answers."""
    ray = _start_ray()
    answerer = ray.remote(num_cpus=0, max_concurrency=10_000)(Answerer).remote()
    reporters = _make_trainers(ray, trainers).values()
    ray.get([reporter.report_to.remote(answerer, 1.0) for reporter in reporters])  # warms up
    seconds = _SECONDS / 2
    counts = ray.get([reporter.report_to.remote(answerer, seconds) for reporter in reporters])
    ray.shutdown()
    return float(sum(counts) / seconds)


def parts_of_an_answer(together: int) -> dict[str, float]:
    """Microseconds a report takes in each part, in batches of so many; without Ray and without an event loop."""
    store, spec = Store.open(), _spec(budget={"trials": together})
    writer = store.claim(spec, "benchmark")
    search = Search(spec)
    assignments = [search.next() for _ in range(together)]
    spent = dict.fromkeys(("Search", "rows", "the transaction", "Optuna's tables, in a thread beside it"), 0.0)
    for epoch in range(_EPOCHS):  # epoch 0 only writes the trials themselves
        began = time.perf_counter()
        for assignment in assignments if epoch else ():
            assert assignment is not None
            search.report(
                assignment.trial,
                assignment.attempt,
                Measurement(epoch=epoch, metrics=_METRICS, seconds=0.01, learning_rate=0.01),
            )
        times = [began, time.perf_counter()]
        events = search.take_events()
        rows = writer.rows_from(events, search.history)
        times.append(time.perf_counter())
        writer.write(rows)
        times.append(time.perf_counter())
        writer.mirror(events, rows)
        times.append(time.perf_counter())
        for part, start, end in zip(spent, times[:-1], times[1:], strict=True):
            spent[part] += (end - start) if epoch else 0.0
    writer.close()
    store.close()
    return {part: 1e6 * seconds / (together * (_EPOCHS - 1)) for part, seconds in spent.items()}


def _start_ray() -> Any:
    from bandstand_workers.fleet.ray_connection import connect_ray, protect_local_ray

    protect_local_ray()
    connect_ray(Resources(), 2)
    import ray

    return ray


def _make_trainers(ray: Any, number: int) -> dict[str, Any]:
    actor = ray.remote(num_cpus=0, max_concurrency=1_000)(Reporter)
    processes = [actor.remote() for _ in range(min(number, _PROCESSES))]
    ray.get([process.memory_bytes.remote() for process in processes])
    return {f"trainer-{index}": processes[index % len(processes)] for index in range(number)}


def _spec(**settings: Any) -> StudySpec:
    study = {
        "name": "reports",
        "model": "bandstand_workers.models.digits_mlp:build",
        "data": "bandstand_workers.datasets.digits:load",
        "space": "digits_mlp",
        "objective": {"metric": "val_accuracy", "direction": "maximize"},
        "sampler": "random",
        "pruner": "none",
        "max_epochs": _EPOCHS,
        "batch_size": "batch_size",
    }
    return study_spec_from(study | settings, "benchmark")
