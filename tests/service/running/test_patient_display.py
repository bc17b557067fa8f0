"""What is shown while the database is away."""

from __future__ import annotations

import pytest

from bandstand.errors import DatabaseUnreachableError
from bandstand.running.live_display import NoDisplay
from bandstand.running.patient_display import PatientDisplay
from bandstand.store.patience import AWAY_SECONDS


class OverDatabase(NoDisplay):
    """Reads a database that is away for so many looks."""

    def __init__(self) -> None:
        self.away_for = 0
        self.asks = True
        self.said: list[str] = []

    def _look(self, what: str) -> None:
        if self.away_for:
            self.away_for -= 1
            raise DatabaseUnreachableError("the database must answer")
        self.said.append(what)

    def running(self, name: str, workers: int) -> None:
        self.said.append(f"{name} runs")

    def note(self, name: str, message: str) -> None:
        self.said.append(f"{name}: {message}")

    def tick(self) -> bool:
        if self.asks:
            self._look("tick")
        return self.asks

    def ended(self, name: str) -> None:
        self._look(f"{name} ended")


AWAY = "digits: the database does not answer; the study waits for it"
BACK = "digits: the database answers again"


def test_a_database_that_goes_away_and_comes_back_is_told_once_each() -> None:
    shown = OverDatabase()
    display = PatientDisplay(shown)
    display.running("digits", 2)
    display.tick()
    shown.away_for = 3
    for _ in range(5):
        display.tick()
    assert shown.said == ["digits runs", "tick", AWAY, "tick", BACK, "tick"]


def test_a_tick_that_does_not_ask_the_database_says_nothing_about_it() -> None:
    shown = OverDatabase()
    display = PatientDisplay(shown)
    display.running("digits", 2)
    shown.away_for = 3
    for tick in range(13):
        shown.asks = tick % 4 == 0  # displays look at the database less often than they are called
        display.tick()
    assert shown.said == ["digits runs", AWAY, "tick", BACK]


def test_the_end_of_a_study_waits_for_the_database() -> None:
    shown, slept = OverDatabase(), list[float]()
    display = PatientDisplay(shown, slept.append)
    display.running("digits", 2)
    shown.away_for = 20
    display.ended("digits")
    assert shown.said == ["digits runs", AWAY, "digits ended", BACK]
    assert len(slept) == 20


def test_a_database_that_stays_away_is_an_error_in_the_end() -> None:
    shown, slept = OverDatabase(), list[float]()
    display = PatientDisplay(shown, slept.append)
    display.running("digits", 2)
    shown.away_for = 1000
    with pytest.raises(DatabaseUnreachableError):
        display.ended("digits")
    assert sum(slept) == AWAY_SECONDS
