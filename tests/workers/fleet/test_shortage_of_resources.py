"""What is asked of a cluster for a study's trainers, and what users are told while there is no room."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from bandstand.study.study_spec import Resources, StudySpec
from bandstand.study.users_code.user_modules import CodePlace
from bandstand_workers.fleet.fleet import Fleet
from bandstand_workers.fleet.resource_notes import ResourceNotes, note_of_size, note_of_waiting

GB = 1e9


def test_the_wait_says_what_a_trainer_takes_and_what_the_cluster_has() -> None:
    bundle = {"CPU": 2.0, "GPU": 0.5, "memory": 4 * GB}
    there, free = {"CPU": 8.0, "memory": 16 * GB, "node:a": 1.0}, {"CPU": 1.0, "memory": 1.5 * GB}
    assert note_of_waiting(bundle, there, free) == (
        "waiting for resources: each trainer needs 2 CPUs, 0.5 GPUs, 4 GB of memory; the cluster has 8 CPUs, 0 GPUs, "
        "16 GB of memory (free: 1 CPU, 0 GPUs, 1.5 GB of memory)"
    )


def test_a_trainer_larger_than_every_node_is_said_and_one_that_waits_its_turn_is_not() -> None:
    nodes: list[Any] = [{"CPU": 4.0}, {"CPU": 2.0, "GPU": 1.0}]
    assert note_of_size({"CPU": 4.0}, nodes) is None
    assert note_of_size({"CPU": 2.0, "GPU": 1.0}, nodes) is None
    said = note_of_size({"CPU": 3.0, "GPU": 1.0}, nodes)  # the cluster has both, no node has
    assert "no node of the cluster is large enough for a trainer (3 CPUs, 1 GPU)" in said
    assert "stop the study and set smaller resources" in said


class Places:
    """Stands for the cluster: hands out places when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.asked: list[Any] = []
        self.left = 0
        places = self

        class Place:
            is_alive = True

            def __init__(self, resources: Resources, labels: Mapping[str, str]):
                self.given = object()
                places.asked.append(self)

            def start(self, actor: Any, *arguments: Any, calls_at_once: int) -> Any:
                return Trainer()

            def give_back(self) -> None:
                places.left += 1

        monkeypatch.setattr("bandstand_workers.fleet.fleet.Place", Place)
        monkeypatch.setattr("ray.wait", lambda asked, num_returns, timeout: ([], asked))
        monkeypatch.setattr("ray.get", lambda answer: answer.refusal)
        monkeypatch.setattr("ray.kill", lambda trainer: None)


class Answer:
    refusal: str | None = None


class Trainer:
    """Its `prepare` is ready whenever the test looks."""

    @property
    def prepare(self) -> Any:
        return self

    def remote(self, *arguments: Any) -> Answer:
        return Answer()


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    return Places(monkeypatch)


def make_spec(**budget: int) -> StudySpec:
    settings = {"name": "s", "model": "a:b", "data": "a:c", "space": "digits_mlp", "max_epochs": 9}
    objective = {"metric": "val_accuracy", "direction": "maximize"}
    return StudySpec.model_validate({**settings, "objective": objective, "budget": budget})


def give_all(fleet: Fleet, places: Places, rounds: int) -> None:
    """A cluster with room for whatever is asked, so many times."""
    for _ in range(rounds):
        fleet.advance([place.given for place in places.asked])


def test_a_fleet_without_a_size_asks_for_one_place_more_than_it_has(places: Places) -> None:
    fleet = Fleet(Resources(), CodePlace(), size=None)
    fleet.take_up(make_spec(epochs=500))
    assert len(places.asked) == 1
    for count in range(1, 6):
        give_all(fleet, places, 1)
        assert (fleet.placed, len(places.asked)) == (count, count + 1)


def test_a_fleet_has_no_more_trainers_than_the_study_may_have_trials(places: Places) -> None:
    fleet = Fleet(Resources(), CodePlace(), size=None)
    fleet.take_up(make_spec(trials=3))
    give_all(fleet, places, 10)
    assert (fleet.placed, len(places.asked)) == (3, 3)


def test_a_fleet_leaves_what_it_waits_for_to_others_while_trainers_are_idle(places: Places) -> None:
    fleet = Fleet(Resources(), CodePlace(), size=None)
    fleet.take_up(make_spec(epochs=500))
    give_all(fleet, places, 2)
    fleet.may_grow = False
    fleet.advance([])
    assert (fleet.placed, len(places.asked), places.left) == (2, 3, 1)
    fleet.advance([])
    assert len(places.asked) == 3
    fleet.may_grow = True
    fleet.advance([])
    assert len(places.asked) == 4


def test_a_fleet_with_a_size_asks_for_all_at_once(places: Places) -> None:
    fleet = Fleet(Resources(), CodePlace(), size=4)
    fleet.take_up(make_spec(epochs=500))
    assert len(places.asked) == 4
    give_all(fleet, places, 3)
    assert (fleet.placed, len(places.asked)) == (4, 4)


def test_a_trainer_is_replaced_on_its_place_and_waits_for_another_if_its_node_is_gone(places: Places) -> None:
    fleet = Fleet(Resources(), CodePlace(), size=2)
    fleet.take_up(make_spec(epochs=500))
    give_all(fleet, places, 1)
    fleet.replace("trainer-1")
    assert (fleet.placed, len(places.asked), places.left) == (2, 2, 0)
    places.asked[1].is_alive = False
    fleet.replace("trainer-2")
    assert (fleet.placed, len(places.asked), places.left) == (1, 3, 1)


def test_a_lack_of_trainers_is_told_once_and_again_after_it_was_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    told: list[str] = []
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setattr("bandstand_workers.fleet.resource_notes.time.monotonic", lambda: now[0])
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr("ray.available_resources", dict)
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}])

    class OfSize:
        resources, size, placed = Resources(cpus=4), None, 0
        preparing_seconds, load_seconds = 0.0, 3600.0

    fleet: Any = OfSize()
    notes = ResourceNotes(fleet, told.append)

    def look_until(seconds: float) -> None:
        while now[0] < seconds:
            now[0] += 0.2
            notes.look()

    look_until(1.0)
    assert told == []  # a place takes a moment
    look_until(200)
    assert [re.split(r"[:(]", line)[0].rstrip() for line in told] == [
        "waiting for resources",
        "no node of the cluster is large enough for a trainer",
    ]
    assert "(4 CPUs)" in told[1]
    fleet.placed = 1
    look_until(201)
    fleet.placed = 0
    look_until(300)
    assert [line.split(":")[0] for line in told[2:]] == ["waiting for resources"]
