"""A trial that is to train alone waits for its machine, and its machine for it; other machines go on."""

from __future__ import annotations

from bandstand_workers.coordinator.trainers.memory_deaths import MemoryDeaths


def test_nothing_begins_beside_a_trial_that_is_to_train_alone_on_its_machine() -> None:
    memory = MemoryDeaths()
    for name, node in (("one", "A"), ("two", "A"), ("three", "B")):
        memory.seen_on(name, node)
    assert memory.retries_alone(7, "one")
    assert memory.to_begin({7}) == 7
    assert memory.must_wait("one", ["two"])
    assert not memory.must_wait("three", ["two", "three"]), "what trains on another machine trains on"
    assert not memory.must_wait("one", [])
    memory.begins_alone(7, "one")
    assert memory.must_wait("two", ["one"])
    assert not memory.must_wait("three", ["one"])
    memory.ends(7)
    assert not memory.must_wait("two", [])


def test_where_nobody_knows_the_machines_all_wait() -> None:
    memory = MemoryDeaths()
    assert memory.retries_alone(7, "one")
    assert memory.must_wait("two", ["three"])


def test_the_chance_is_given_once_and_is_gone_where_the_trial_does_not_wait_any_more() -> None:
    memory = MemoryDeaths()
    assert memory.retries_alone(7, "one")
    assert not memory.retries_alone(7, "one")
    assert memory.to_begin({8}) is None
    assert not memory.must_wait("two", ["three"])


def test_rays_word_of_a_kill_is_enough_and_any_other_death_is_not() -> None:
    memory = MemoryDeaths()
    killed = RuntimeError("1 worker(s) were killed due to the node running low on memory.")
    assert memory.message(7, [7], killed, 32) == (
        "out of memory: its machine had no more, and its process was ended; batch 32"
    )
    assert memory.message(7, [7], RuntimeError("the process was killed by the OOM killer, or crashed"), 32) is None
