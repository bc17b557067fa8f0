"""Trainers are given one trial after the other, and replaced when they die or have grown.

Trainers are called as Ray's handles are; only what trains, and where events are kept, are stand-ins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from bandstand.running.messages import Conditions
from bandstand.search.protocol import Assignment, Measurement
from bandstand.search.search import Search
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import TrialState
from bandstand_workers.coordinator.opened_study import OpenedStudy
from bandstand_workers.coordinator.signals import Signals
from bandstand_workers.coordinator.trainers.assigner import Assigner
from bandstand_workers.coordinator.trainers.inputs_check import InputsCheck
from bandstand_workers.messages import Outcome
from tests.workers.memory_journal import MemoryJournal

SPEC = {
    "name": "assigned",
    "model": "a:build",
    "data": "a:load",
    "sampler": "random",
    "pruner": "none",
    "max_epochs": 2,
    "budget": {"trials": 4},
    "space": {"rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}},
}
MB = 10**6


class Method:
    """Called as a method of an actor's handle."""

    def __init__(self, method: Callable[..., Any]):
        self._method = method

    async def remote(self, *arguments: Any) -> Any:
        await asyncio.sleep(0)
        return self._method(*arguments)


class Study:
    """An opened study with its assigner, and what its trainers have trained."""

    def __init__(self, **changes: Any):
        spec = StudySpec.model_validate({**SPEC, **changes})
        self.search = Search(spec)
        self.signals = Signals()
        parts: Any = SimpleNamespace(study_id=1), MemoryJournal()
        opened = OpenedStudy(spec, self.search, *parts, self.signals, "checkpoints")
        self.assigner = Assigner(opened, InputsCheck(opened, Conditions()))
        self.trained: list[tuple[str, int]] = []

    def join(self, name: str, *, dies_under: int | None = None, memory_bytes: int = MB) -> None:
        def train(me: Any, assignment: Assignment, *more: Any) -> Outcome:
            if assignment.trial == dies_under:
                raise ray.exceptions.ActorDiedError
            self.trained.append((name, assignment.trial))
            for epoch in range(1, 3):
                measurement = Measurement(epoch=epoch, metrics={"val_loss": 1.0})
                verdict = self.search.report(assignment.trial, assignment.attempt, measurement)
            return Outcome(action=verdict.action, memory_bytes=memory_bytes)

        trainer: Any = SimpleNamespace(train=Method(train), baseline_memory_bytes=Method(lambda: MB))
        self.assigner.join(name, trainer)

    async def until_done(self) -> None:
        while not (self.search.done and not self.assigner.pool.busy):
            await asyncio.sleep(0.001)

    @property
    def states(self) -> list[TrialState]:
        return [trial.state for trial in self.search.history.trials]


@pytest.fixture(autouse=True)
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.get_runtime_context", lambda: SimpleNamespace(current_actor=None))


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 20))


def test_a_trial_whose_trainer_dies_is_given_to_another_and_the_dead_one_is_to_be_replaced() -> None:
    async def story() -> None:
        study = Study()
        study.join("one", dies_under=0)
        study.join("two")
        await study.until_done()
        assert study.signals.departures.get_nowait().name == "one"
        assert study.signals.departures.empty()
        assert sorted(study.trained) == [("two", number) for number in range(4)]
        assert study.states == [TrialState.COMPLETE] * 4
        assert study.search.history.trials[0].lost == 1, "a process that dies with one trial may have died of it"

    run(story())


def test_a_trainer_that_has_grown_too_much_is_replaced_between_two_trials() -> None:
    async def story() -> None:
        study = Study()
        study.join("one", memory_bytes=4 * MB)
        departed = await study.signals.departures.get()
        assert (departed.name, study.trained) == ("one", [("one", 0)])
        assert departed.reason.startswith("it used 0.0 GB of memory")
        study.join("two")
        await study.until_done()
        assert [by for by, _ in study.trained] == ["one", "two", "two", "two"]
        assert any("a trainer was replaced between two trials" in notice for notice in study.search.history.notices)

    run(story())


def test_nothing_is_given_out_once_the_study_is_to_stop() -> None:
    async def story() -> None:
        study = Study()
        study.search.stop()
        study.signals.stop_requested = True
        study.join("one")
        await asyncio.sleep(0.05)
        assert study.trained == []

    run(story())
