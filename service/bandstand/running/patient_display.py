"""A display that goes on while the database is away.

Knows that the database may be away for a while, as when it is restarted. Must not know how progress is drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType

from bandstand.errors import DatabaseUnreachableError
from bandstand.running.live_display import Display
from bandstand.store.patience import patiently
from bandstand.study.study_spec import StudySpec

__all__ = ["PatientDisplay"]


class PatientDisplay:
    """Shows what another display shows, and says when the database goes away and comes back."""

    def __init__(self, display: Display, sleep: Callable[[float], None] = time.sleep):
        """Wrap `display`; `sleep` waits so many seconds."""
        self._display = display
        self._sleep = sleep
        self._names: list[str] = []
        self._is_away = False

    def starting(self, specs: Sequence[StudySpec]) -> None:
        """As `Display.starting`; it waits for the database if it is away.

        Raises:
            DatabaseUnreachableError: it stays away.
        """
        self._names = [spec.name for spec in specs]
        self._insist(lambda: self._display.starting(specs))

    def running(self, name: str, workers: int) -> None:
        """As `Display.running`."""
        self._names = [name]
        self._display.running(name, workers)

    def note(self, name: str, message: str) -> None:
        """As `Display.note`."""
        self._display.note(name, message)

    def tick(self) -> bool:
        """As `Display.tick`; where the database is away, it says so and goes on."""
        try:
            return self._show(self._display.tick)
        except DatabaseUnreachableError:
            return True

    def ended(self, name: str) -> None:
        """As `Display.ended`; it waits for the database if it is away.

        Raises:
            DatabaseUnreachableError: it stays away.
        """
        self._insist(lambda: self._display.ended(name))

    def _insist(self, show: Callable[[], None]) -> None:
        """Show something, as soon as the database is there."""

        def show_and_tell() -> bool:
            show()
            return True

        patiently(lambda: self._show(show_and_tell), self._sleep)

    def _show(self, show: Callable[[], bool]) -> bool:
        """Show something, which tells whether it has asked the database: only then does the database answer again."""
        try:
            asked = show()
        except DatabaseUnreachableError:
            if not self._is_away:
                self._say("the database does not answer; the study waits for it")
            self._is_away = True
            raise
        if asked and self._is_away:
            self._say("the database answers again")
            self._is_away = False
        return asked

    def _say(self, message: str) -> None:
        self._display.note(", ".join(self._names), message)

    def __enter__(self) -> PatientDisplay:
        self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.__exit__(kind, error, trace)
