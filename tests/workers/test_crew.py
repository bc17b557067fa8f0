"""Who trains what, by seats."""

from __future__ import annotations

from bandstand_workers.coordinator.crew import Crew


def crew_of(at_once: int, *names: str) -> Crew:
    crew = Crew(at_once)
    for name in names:
        crew.join(name, object())
    return crew


def test_a_trainer_is_busy_while_any_of_its_seats_is() -> None:
    crew = crew_of(2, "a", "b")
    assert (crew.seats, crew.busy, crew.idle) == (4, 0, 2)
    assert crew.seats_of("a") == ["a.1", "a.2"]
    crew.begins("a.1", "a", 10)
    crew.begins("a.2", "a", 11)
    assert (crew.busy, crew.idle, crew.under_way("a")) == (1, 1, {10, 11})
    crew.ends("a.1")
    assert (crew.busy, crew.under_way("a")) == (1, {11})
    crew.ends("a.2")
    assert (crew.busy, crew.idle) == (0, 2)


def test_a_trainer_with_one_seat_is_its_seat() -> None:
    assert crew_of(1, "a").seats_of("a") == ["a"]


def test_one_that_is_dismissed_gets_no_more_work_and_goes_when_all_its_seats_are_done() -> None:
    crew = crew_of(2, "a")
    crew.begins("a.1", "a", 1)
    crew.begins("a.2", "a", 2)
    crew.dismiss("a", "too large")
    crew.dismiss("a", "larger still")
    assert not crew.works("a")
    crew.ends("a.1")
    assert crew.dismissed("a") == ""
    crew.ends("a.2")
    assert crew.dismissed("a") == "too large"
    assert crew.leave("a")
    assert not crew.leave("a")
    assert crew.seats == 0


def test_what_a_dead_trainer_had_is_remembered_when_its_seats_are_cleared_one_by_one() -> None:
    crew = crew_of(2, "a")
    crew.begins("a.1", "a", 1)
    crew.begins("a.2", "a", 2)
    assert crew.died_with("a") == {1, 2}
    crew.ends("a.1")
    assert crew.died_with("a") == {1, 2}
    assert crew.under_way("a") == {2}
