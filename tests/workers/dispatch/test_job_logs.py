"""A job's log is read to its end, each character once, however often the stream breaks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from bandstand_workers.dispatch import job_logs
from bandstand_workers.dispatch.job_logs import JobLogs


class Log:
    """A log that is written while it is read; a reading of it breaks after so many pieces."""

    def __init__(self, breaks_after: int | None = None):
        self.pieces: list[str] = []
        self.is_complete = False
        self.breaks_after = breaks_after
        self.readings = 0

    async def tail(self, run: str) -> AsyncIterator[str]:
        self.readings += 1
        number = 0
        while number < len(self.pieces) or not self.is_complete:
            if number == self.breaks_after:
                self.breaks_after = None
                raise ConnectionError("the head has gone")
            if number < len(self.pieces):
                yield self.pieces[number]
                number += 1
            else:
                await asyncio.sleep(0.01)


def wait_for(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_log_is_read_as_it_grows_and_given_again_until_a_later_position_is_asked_for() -> None:
    log = Log()
    logs = JobLogs(log.tail)
    logs.follow("run", 0)
    log.pieces.append("one\n")
    wait_for(lambda: logs.text_from("run", 0) == "one\n")
    assert logs.text_from("run", 0) == "one\n", "what could not be stored must still be there"
    log.pieces.append("zwölf\n")
    wait_for(lambda: logs.text_from("run", 4) == "zwölf\n")
    assert logs.text_from("run", 10) == ""
    assert not logs.is_over("run")
    log.is_complete = True
    wait_for(lambda: logs.is_over("run"))
    assert log.readings == 1


def test_a_stream_that_breaks_is_taken_up_where_it_was() -> None:
    log = Log(breaks_after=2)
    log.pieces = ["one\n", "two\n", "three\n"]
    log.is_complete = True
    logs = JobLogs(log.tail)
    logs.follow("run", 0)
    wait_for(lambda: logs.is_over("run"))
    assert logs.text_from("run", 0) == "one\ntwo\n"
    logs.follow("run", 6)  # within a piece
    wait_for(lambda: logs.is_over("run"))
    assert logs.text_from("run", 6) == "o\nthree\n"
    assert log.readings == 2


def test_a_log_that_nobody_takes_is_not_read_on_for_ever(monkeypatch) -> None:
    monkeypatch.setattr(job_logs, "_MAX_HELD", 1000)
    log = Log()
    log.pieces = ["x" * 400] * 20
    logs = JobLogs(log.tail)
    logs.follow("run", 0)
    wait_for(lambda: len(logs.text_from("run", 0)) > 1000)
    time.sleep(0.5)
    assert len(logs.text_from("run", 0)) <= 1400
    log.is_complete = True
    position = 0
    while not logs.is_over("run") or logs.text_from("run", position):
        position += len(logs.text_from("run", position))
        time.sleep(0.01)
    assert position == 8_000


def test_logs_of_jobs_that_are_over_are_left() -> None:
    log = Log()
    logs = JobLogs(log.tail)
    logs.follow("one", 0)
    logs.follow("two", 0)
    logs.leave_all_but({"two"})
    assert logs.is_over("one")
    assert not logs.is_over("two")
    logs.leave("two")
