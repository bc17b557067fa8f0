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
from bandstand_workers.messages import Failure, MemoryWord, Outcome
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

    def __init__(self, method: Callable[..., Any], seconds: float = 0.0):
        self._method = method
        self._seconds = seconds

    async def remote(self, *arguments: Any) -> Any:
        await asyncio.sleep(self._seconds)
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

    def join(
        self,
        name: str,
        *,
        dies_under: int | None = None,
        memory_bytes: int = MB,
        says: Callable[[Assignment], Outcome | None] = lambda assignment: None,
        seconds: float = 0.0,
    ) -> None:
        def train(me: Any, assignment: Assignment, *more: Any) -> Outcome:
            said = says(assignment)
            if said is not None:
                return said
            if assignment.trial == dies_under:
                raise ray.exceptions.ActorDiedError
            self.trained.append((name, assignment.trial))
            for epoch in range(1, 3):
                measurement = Measurement(epoch=epoch, metrics={"val_loss": 1.0})
                verdict = self.search.report(assignment.trial, assignment.attempt, measurement)
            return Outcome(action=verdict.action, memory_bytes=memory_bytes)

        trainer: Any = SimpleNamespace(train=Method(train, seconds), baseline_memory_bytes=Method(lambda: MB))
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


def out_of_memory(*, crowded: bool = False) -> Outcome:
    failure = Failure(kind="out_of_memory", message="too large", cause="out_of_memory", detail="", crowded=crowded)
    return Outcome(failure=failure, memory_bytes=MB)


def test_a_trial_out_of_memory_ends_its_process_is_replaced_and_no_other_is_charged() -> None:
    async def story() -> None:
        study = Study()
        study.join("one", says=lambda assignment: out_of_memory() if assignment.trial == 0 else None)
        study.join("two")
        assert (await study.signals.departures.get()).reason == "a trial ran out of memory in it"
        await study.until_done()
        assert study.states == [TrialState.FAILED, *[TrialState.COMPLETE] * 3]
        assert study.search.history.trials[0].reason == "out_of_memory"
        assert [trial.attempt for trial in study.search.history.trials] == [1] * 4
        assert [trial.lost for trial in study.search.history.trials] == [0] * 4
        assert {name for name, _ in study.trained} == {"two"}

    run(story())


def test_one_that_lacked_memory_beside_others_has_one_more_chance_alone() -> None:
    async def story() -> None:
        study, tried, beside = Study(budget={"trials": 12}), list[int](), list[str]()

        def says(assignment: Assignment) -> Outcome | None:
            if assignment.trial != 0:
                return None
            tried.append(assignment.attempt)
            if assignment.attempt == 2:
                pool = study.assigner.pool
                beside.extend(name for name in pool.busy_names if 0 not in pool.under_way(name))
            return out_of_memory(crowded=True)

        for name in ("one", "two", "three", "four", "five"):
            study.join(name, says=says, seconds=0.01)
        await study.until_done()
        trial = study.search.history.trials[0]
        assert (tried, trial.state, trial.reason) == ([1, 2], TrialState.FAILED, "out_of_memory")
        assert beside == []
        assert study.states[1:] == [TrialState.COMPLETE] * 11

    run(story())


def word(*, machine: bool, crowded: bool = False) -> MemoryWord:
    return MemoryWord(used_bytes=3 * 10**9, limit_bytes=32 * 10**8, machine=machine, parameters=610, crowded=crowded)


@pytest.mark.parametrize("machine", [True, False])
def test_a_process_that_dies_after_it_said_that_its_memory_ends_has_died_of_that(machine: bool) -> None:
    async def story() -> None:
        study = Study(budget={"trials": 1})

        def says(assignment: Assignment) -> None:
            study.assigner.memory.heard(0, word(machine=machine))

        study.join("one", dies_under=0, says=says)
        await study.until_done()
        trial = study.search.history.trials[0]
        assert (trial.state, trial.reason, trial.attempt) == (TrialState.FAILED, "out_of_memory", 1)
        whose = "of the machine" if machine else "(resources.memory_gb)"
        said = f"out of memory: its process had 3 GB of 3.2 GB {whose}; the model has 610 parameters, batch 32"
        assert trial.message == said

    run(story())


def test_what_a_process_said_in_an_earlier_attempt_says_nothing_of_this_one() -> None:
    async def story() -> None:
        study = Study(budget={"trials": 1})
        study.assigner.memory.heard(0, word(machine=False))
        study.join("one", dies_under=0)
        await study.signals.departures.get()
        study.join("two")
        await study.until_done()
        assert study.states == [TrialState.COMPLETE]
        assert study.search.history.trials[0].lost == 1

    run(story())


def test_a_trial_that_is_too_slow_ends_with_that_reason() -> None:
    study = Study()
    for attempt in (1, 2, 3):
        study.search.next()
        study.search.lost(0, attempt, "it finished no epoch within 9 s (epoch_seconds)", kind="too_slow")
    trial = study.search.history.trials[0]
    assert (trial.state, trial.reason) == (TrialState.FAILED, "too_slow")
    assert trial.message == "it finished no epoch within 9 s (epoch_seconds); its worker was ended 3 times"
