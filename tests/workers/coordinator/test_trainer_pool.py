"""Who trains what, by seats."""

from __future__ import annotations

from bandstand_workers.coordinator.trainers.trainer_pool import TrainerPool


def pool_of(at_once: int, *names: str) -> TrainerPool:
    pool = TrainerPool(at_once)
    for name in names:
        pool.join(name, object())
    return pool


def test_a_trainer_is_busy_while_any_of_its_seats_is() -> None:
    pool = pool_of(2, "a", "b")
    assert (pool.seats, pool.busy, pool.idle) == (4, 0, 2)
    assert pool.seats_of("a") == ["a.1", "a.2"]
    pool.begins("a.1", "a", 10)
    pool.begins("a.2", "a", 11)
    assert (pool.busy, pool.idle, pool.under_way("a")) == (1, 1, {10, 11})
    pool.ends("a.1")
    assert (pool.busy, pool.under_way("a")) == (1, {11})
    pool.ends("a.2")
    assert (pool.busy, pool.idle) == (0, 2)


def test_a_trainer_with_one_seat_is_its_seat() -> None:
    assert pool_of(1, "a").seats_of("a") == ["a"]


def test_one_that_is_dismissed_gets_no_more_work_and_goes_when_all_its_seats_are_done() -> None:
    pool = pool_of(2, "a")
    pool.begins("a.1", "a", 1)
    pool.begins("a.2", "a", 2)
    pool.dismiss("a", "too large")
    pool.dismiss("a", "larger still")
    assert not pool.works("a")
    pool.ends("a.1")
    assert pool.dismissed("a") is None
    pool.ends("a.2")
    assert pool.dismissed("a") == "too large"
    assert pool.leave("a")
    assert not pool.leave("a")
    assert pool.seats == 0


def test_what_a_dead_trainer_had_is_remembered_when_its_seats_are_cleared_one_by_one() -> None:
    pool = pool_of(2, "a")
    pool.begins("a.1", "a", 1)
    pool.begins("a.2", "a", 2)
    assert pool.died_with("a") == {1, 2}
    pool.ends("a.1")
    assert pool.died_with("a") == {1, 2}
    assert pool.under_way("a") == {2}
