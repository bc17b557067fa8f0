"""Checkpoints have a limit: users are told before it, and what is needed least gives way first."""

from __future__ import annotations

import asyncio
from collections import namedtuple
from typing import Any

import pytest

from bandstand.errors import InputError
from bandstand.locations import checkpoints_limit
from bandstand.search.search import Search
from bandstand.trials.events import CheckpointRefused, TrialState
from bandstand_workers.coordinator.recording import checkpoint_limit
from bandstand_workers.coordinator.recording.checkpoint_limit import CheckpointLimit
from bandstand_workers.coordinator.recording.checkpoint_sweep import CheckpointSweep
from tests.service.search.harness.virtual_cluster import VirtualCluster
from tests.workers.coordinator.test_checkpoint_sweep import spec_of

GB = 10**9


class Room:
    """The files of a study's trials, each of 1 GB, kept as a journal keeps them, and strays beside them."""

    def __init__(self, search: Search, strays: int, tmp_path: Any, limit: int):
        self.search = search
        self.strays = strays
        self._files = {
            (trial.number, trial.checkpoint_epoch) for trial in search.history.trials if trial.has_own_checkpoint
        }
        self._sweep = CheckpointSweep(search)
        search.take_events()
        self.events: list[Any] = []
        self.limit = CheckpointLimit(search, self, self, str(tmp_path), limit, used=self.used)  # type: ignore[arg-type]

    @property
    def files(self) -> set[int]:
        """The trials that have one."""
        return {trial for trial, _ in self._files}

    def used(self, place: str) -> int:
        return (len(self.files) + self.strays) * GB

    async def during(self) -> None:
        self.strays = 0

    async def durable(self) -> None:
        events = self.search.take_events()
        self.events += events
        for trial, needed in self._sweep.due(events).items():
            self._files = {(other, epoch) for other, epoch in self._files if other != trial or epoch in needed}

    async def call(self, work: Any) -> None:
        work()

    def look(self) -> str | None:
        return asyncio.run(self.limit.look())


def searched(name: str, steps: int = 60) -> Search:
    """A search in the middle, with trials that have ended, wait and are paused."""
    cluster = VirtualCluster(spec_of(name), workers=3, seed=1)
    reached: list[Search] = []

    class Enough(Exception):
        pass

    def stop(_: Any) -> None:
        reached.append(cluster.search)
        if len(reached) > steps:
            raise Enough

    with pytest.raises(Enough):
        cluster.run(after_each_step=stop)
    return cluster.search


def test_users_are_told_once_before_the_limit_is_reached(tmp_path: Any) -> None:
    room = Room(searched("asha-promote"), 0, tmp_path, limit=100 * GB)
    room.limit._used = lambda _: 79 * GB
    assert (room.look(), notes(room)) == (None, [])
    room.limit._looked_at = 0.0
    room.limit._used = lambda _: 80 * GB
    assert room.look() is None
    (note,) = notes(room)
    assert "more than 80% of the 100 GB" in note


def test_files_that_nobody_needs_give_way_first_and_the_study_goes_on(tmp_path: Any) -> None:
    search = searched("asha-promote")
    room = Room(search, strays=20, tmp_path=tmp_path, limit=0)
    room.limit._limit = (len(room.files) + 10) * GB
    assert room.look() is None
    assert room.strays == 0
    assert not any(isinstance(event, CheckpointRefused) for event in [*room.events, *search.take_events()])


def test_paused_trials_keep_theirs_and_the_study_pauses_instead(tmp_path: Any) -> None:
    search = searched("asha-promote")
    paused = {trial.number for trial in search.history.trials if trial.state is TrialState.PAUSED}
    assert paused
    room = Room(search, strays=0, tmp_path=tmp_path, limit=GB)
    reason = room.look()
    assert reason is not None
    assert "may take 1 GB (BANDSTAND_CHECKPOINTS_GB)" in reason
    assert paused <= room.files


def test_of_trials_that_have_ended_the_worst_gives_way_first_and_the_best_never(tmp_path: Any) -> None:
    search = searched("ensemble", steps=150)
    history = search.history
    ended = {trial.number for trial in history.trials if trial.state.is_final and trial.has_own_checkpoint}
    best = history.best
    assert best is not None
    assert len(ended) > 2
    room = Room(search, strays=0, tmp_path=tmp_path, limit=GB)
    room.look()
    given_up = [event.trial for event in room.events if isinstance(event, CheckpointRefused)]
    assert len(given_up) > 2
    losses = [history.value_of(history.trials[number]) for number in given_up]
    assert losses == sorted(losses, reverse=True), "the worst first"
    assert set(given_up) <= ended - {best.number}
    assert not set(given_up) & room.files
    assert {
        trial.number for trial in history.trials if not trial.state.is_final and trial.has_own_checkpoint
    } <= room.files


def test_a_disk_that_is_nearly_full_is_told(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(searched("asha-promote"), 0, tmp_path, limit=10**6 * GB)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(checkpoint_limit.shutil, "disk_usage", lambda _: usage(free=GB))
    room.look()
    (note,) = notes(room)
    assert "nearly full" in note


def notes(room: Room) -> list[str]:
    return [note for note in room.search.history.notices if "GB" in note]


@pytest.mark.parametrize("text", ["0", "-1", "many", "nan", "inf"])
def test_a_limit_that_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANDSTAND_CHECKPOINTS_GB", text)
    with pytest.raises(InputError, match="BANDSTAND_CHECKPOINTS_GB must be"):
        checkpoints_limit()


def test_a_limit_is_in_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANDSTAND_CHECKPOINTS_GB", "0.5")
    assert checkpoints_limit() == 500_000_000
    monkeypatch.delenv("BANDSTAND_CHECKPOINTS_GB")
    assert checkpoints_limit() is None
