"""What Tune's members do next, read as decisions: trained on, cloned, begun again after a death, refused at the end.

The members are called as Tune's processes would call; only where events are kept is a stand-in.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bandstand.running.messages import Conditions
from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.trials.events import Action, TrialState
from bandstand_workers.coordinator.opened_study import OpenedStudy
from bandstand_workers.messages import Outcome
from bandstand_workers.tune.population_coordinator import (
    MemberCheckpoint,
    MemberInterval,
    MemberTask,
    PopulationCoordinator,
)
from tests.workers.memory_journal import MemoryJournal

SPEC = {
    "name": "population",
    "model": "a:build",
    "data": "a:load",
    "sampler": "tune-pbt",
    "sampler_options": {"population": 3, "interval": 2},
    "executor": "tune",
    "max_epochs": 6,
    "budget": {"trials": 3},
    "space": {"rate": {"type": "float", "low": 1e-4, "high": 1.0, "log": True}},
}


class Population:
    """A coordinator with its members at hand."""

    def __init__(self, workers: int = 3, **changes: Any):
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write("postgresql://nobody@127.0.0.1/none")  # it is read when it starts, and never opened here
        self.coordinator = PopulationCoordinator(file.name, {**SPEC, **changes}, "checkpoints", Conditions(), workers)
        assert not Path(file.name).exists()
        self.search = Search(self.coordinator.spec)
        self.writer = SimpleNamespace(study_id=1, checkpoint_uri=lambda trial, epoch: f"{trial} at {epoch}")
        parts: Any = self.writer, MemoryJournal()
        study = OpenedStudy(self.coordinator.spec, self.search, *parts, self.coordinator.signals, "checkpoints")
        self.run = self.coordinator.make_run(study)
        self.coordinator._study_run = self.run
        self.coordinator.signals.taken_up.set()

    @property
    def trials(self) -> Any:
        return self.search.history.trials

    async def order(self, member: str, checkpoint: Any = None, params: Any = None) -> MemberTask | None:
        first = int(member)
        return await self.coordinator.order(member, first, checkpoint, params or dict(self.trials[first].params))

    async def train(self, order: MemberTask | None, value: float) -> MemberInterval:
        """Its interval, with its checkpoint, as a trainer would."""
        assert order is not None
        given = order.assignment
        for epoch in range(given.from_epoch + 1, given.until_epoch + 1):
            measurement = Measurement(epoch=epoch, metrics={"val_loss": value})
            verdict = await self.coordinator.report(given.trial, given.attempt, [measurement])
        assert verdict is not None
        outcome = Outcome(action=verdict.action)
        if verdict.action is Action.PAUSE:
            outcome = Outcome(action=verdict.action, paused_at=given.until_epoch)
            await self.coordinator.checkpointed(given.trial, given.attempt, given.until_epoch, "file", None)
        return await self.coordinator.settle(self.member_of(given.trial), given.trial, given.attempt, outcome)

    def member_of(self, trial: int) -> str:
        return next(member for member, number in self.run._trial_of.items() if number == trial)

    async def first_intervals(self) -> list[MemberCheckpoint]:
        """Tune's checkpoints of the three members after an interval each."""
        members = await self.coordinator.begin_tuner()
        assert [each.trial for each in members] == [0, 1, 2]
        reached = [await self.train(await self.order(str(number)), number / 10) for number in range(3)]
        return [MemberCheckpoint(trial=at.trial, epoch=at.epoch) for at in reached]


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 20))


def test_a_member_that_keeps_its_checkpoint_trains_on() -> None:
    async def story() -> None:
        population = Population()
        own = await population.first_intervals()
        order = await population.order("1", own[1])
        assert order is not None
        assert (order.assignment.trial, order.assignment.from_epoch, order.resume_uri) == (1, 2, "1 at 2")
        assert (await population.train(order, 0.1)).over is False
        last = await population.train(await population.order("1", MemberCheckpoint(trial=1, epoch=4)), 0.1)
        assert last == MemberInterval(trial=1, epoch=6, value=0.1, over=True)
        assert population.trials[1].state is TrialState.COMPLETE

    run(story())


def test_a_member_whose_checkpoint_is_no_longer_there_begins_again_in_the_next_tuner() -> None:
    async def story() -> None:
        population = Population()
        own = await population.first_intervals()
        population.writer.checkpoint_uri = lambda trial, epoch: None
        assert await population.order("1", own[1]) is None
        assert (population.trials[1].state, population.trials[1].checkpoint_epoch) == (TrialState.WAITING, 0)
        assert await population.order("2", own[0], {"rate": 0.5}) is None
        assert (population.trials[3].state, population.trials[3].reason) == (TrialState.FAILED, "parent_checkpoint")
        assert 1 in [each.trial for each in await population.coordinator.begin_tuner()]

    run(story())


def test_a_member_given_another_s_checkpoint_was_cloned() -> None:
    async def story() -> None:
        population = Population()
        own = await population.first_intervals()
        order = await population.order("2", own[0], {"rate": 0.5})
        assert order is not None
        assert (order.assignment.trial, order.resume_uri, dict(order.assignment.params)) == (3, "0 at 2", {"rate": 0.5})
        ended, child = population.trials[2], population.trials[3]
        assert (ended.state, ended.reason) == (TrialState.PRUNED, "epoch 2: Ray Tune clones trial 0 instead")
        assert (child.parent, child.from_epoch, child.bracket) == (0, 2, 2)
        assert child.origin.startswith("replaces trial 2: continues trial 0 as Ray Tune decided, rate ")
        reached = await population.train(order, 0.1)
        assert (reached.trial, reached.epoch) == (3, 4)

    run(story())


def test_a_parent_that_has_trained_on_gives_the_checkpoint_it_has() -> None:
    async def story() -> None:
        population = Population()
        own = await population.first_intervals()
        await population.train(await population.order("0", own[0]), 0.1)
        order = await population.order("2", own[0], {"rate": 0.5})
        assert order is not None
        assert (order.assignment.from_epoch, order.resume_uri) == (4, "0 at 4")

    run(story())


def test_a_member_whose_process_died_goes_on_with_the_trial_it_has_and_is_not_cloned_twice() -> None:
    async def story() -> None:
        population = Population(workers=1)
        own = await population.first_intervals()
        await population.order("2", own[0], {"rate": 0.5})
        again = await population.order("2", own[0], {"rate": 0.5})  # as Tune restores it: from the same checkpoint
        assert again is not None
        assert (again.assignment.trial, again.assignment.attempt, again.resume_uri) == (3, 2, "0 at 2")
        assert population.trials[3].lost == 1
        assert len(population.trials) == 4
        await population.train(again, 0.1)
        assert await population.order("1", own[1]) is not None, "its place was given back"

    run(story())


def test_no_more_members_train_than_there_are_workers() -> None:
    async def story() -> None:
        population = Population(workers=1)
        await population.coordinator.begin_tuner()
        first = await population.order("0")
        second = asyncio.create_task(population.order("1"))
        await asyncio.sleep(0.01)
        assert not second.done()
        await population.train(first, 0.1)
        assert (await second) is not None

    run(story())


def test_the_next_tuner_has_the_members_that_are_left_and_none_when_the_budget_is_used() -> None:
    async def story() -> None:
        population = Population(budget={"epochs": 8})
        own = await population.first_intervals()
        order = await population.order("0", own[0])
        assert order is not None  # its process dies, and Tune with it
        members = await population.coordinator.begin_tuner()
        assert [each.trial for each in members] == [0], "the two epochs left are its own"
        assert population.trials[0].state is TrialState.WAITING
        await population.train(await population.order("0", own[0]), 0.1)
        assert await population.order("1", own[1]) is None
        assert await population.coordinator.begin_tuner() == []

    run(story())


def test_a_stopped_study_gives_no_more_orders() -> None:
    async def story() -> None:
        population = Population()
        own = await population.first_intervals()
        await population.coordinator.stop()
        assert await population.order("0", own[0]) is None
        assert await population.coordinator.begin_tuner() == []
        assert not await population.coordinator.wants_model()

    run(story())
