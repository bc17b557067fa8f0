"""A job's log is read as it grows, and nothing that has been put in its place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bandstand_workers.dispatch.local_logs import ReplacedLogError, tail_log

SECRET = "pl4nted"


@pytest.fixture
def session(tmp_path: Path) -> Path:
    (tmp_path / "session" / "logs").mkdir(parents=True)
    return tmp_path / "session"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "key.pem"
    file.touch(mode=0o600)
    file.write_text(SECRET)
    return file


def read(session: Path, has_ended: Callable[[], bool] = lambda: True) -> str:
    async def gather() -> str:
        return "".join([piece async for piece in tail_log(session, "one", has_ended)])

    return asyncio.run(gather())


def test_a_log_is_read_to_its_end_though_it_begins_late_and_grows_while_it_is_read(session: Path) -> None:
    log = session / "logs" / "job-driver-one.log"
    texts = [
        "",
        "zwölf\n"[:3],
        "zwölf\n"[3:] + "\x00\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        "end\n",
    ]

    def grow() -> bool:
        if texts:
            with log.open("a") as file:
                file.write(texts.pop(0))
        return not texts

    assert read(session, grow).startswith("zwölf\n\x00")
    assert read(session).endswith("end\n")


def test_a_job_that_printed_nothing_has_an_empty_log(session: Path) -> None:
    assert read(session) == ""


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder", "linked folder"])
def test_what_lies_in_the_place_of_a_log_is_not_shown(session: Path, secret: Path, kind: str) -> None:
    log = session / "logs" / "job-driver-one.log"
    match kind:
        case "link":
            log.symlink_to(secret)
        case "hard link":
            log.hardlink_to(secret)
        case "pipe":
            os.mkfifo(log)
        case "folder":
            log.mkdir()
        case "linked folder":
            (secret.parent / "job-driver-one.log").symlink_to(secret)
            log.parent.rmdir()
            log.parent.symlink_to(secret.parent)
    with pytest.raises(ReplacedLogError, match="log of job one must be the file that Ray made") as refused:
        read(session)
    assert SECRET not in str(refused.value)
