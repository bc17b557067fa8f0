"""What a process prints cannot fill a disk, and its last words are kept."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bandstand.running.bounded_log import BoundedLog, BoundedText, begin_anew, remove_old_logs
from bandstand.running.child_death import end_of_log

BOMB = """
import os, sys
line = b"x" * 1023 + b"\\n"
for _ in range(50 * 1024):
    os.write(2, line)
print("the last words", file=sys.stderr)
"""


def run_into(log: BoundedLog, code: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", code], stderr=log.writer)
    log.close_writer()
    assert process.wait(timeout=120) == 0
    log.wait()


def test_a_process_that_prints_without_end_leaves_files_of_a_limited_size_with_its_last_words(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "run.log", file_bytes=1_000_000, older_files=2)
    run_into(log, BOMB)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.log", "run.log.1", "run.log.2"]
    assert all(path.stat().st_size <= 1_000_000 for path in tmp_path.iterdir())
    assert "the last words" in end_of_log(log.path)


def test_what_fits_is_kept_as_it_was_printed(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "run.log")
    run_into(log, "import sys; sys.stderr.write('a\\nb\\n')")
    assert log.path.read_text() == "a\nb\n"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_process_is_not_kept_waiting_by_a_log_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(log: BoundedLog, piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BoundedLog, "_write", full)
    run_into(BoundedLog(tmp_path / "run.log"), BOMB)


def test_a_job_s_prints_end_at_a_limit_and_say_so() -> None:
    file = io.StringIO()
    stream = BoundedText(file, 10)
    for _ in range(1000):
        print("1234567", file=stream, flush=True)
    assert file.getvalue() == "1234567\n12\n… what is printed from here on is dropped\n"


def test_a_log_that_has_grown_is_put_aside_when_it_is_begun_again(tmp_path: Path) -> None:
    log = tmp_path / "ray.log"
    begin_anew(log, 5)
    for text in ("first", "second"):
        log.write_text(text * 2)
        begin_anew(log, 5)
        assert not log.exists()
    log.write_text("new")
    begin_anew(log, 5)
    assert (log.read_text(), (tmp_path / "ray.log.1").read_text()) == ("new", "secondsecond")


def test_logs_of_ended_runs_go_but_for_the_newest_and_for_those_of_runs_that_live(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for second in range(6):
        (tmp_path / f"workers-20260101-00000{second}-{ended.pid}.log").touch()
    (tmp_path / f"workers-20260101-000000-{ended.pid}.log.1").touch()
    (tmp_path / f"workers-20250101-000000-{os.getpid()}.log").touch()
    (tmp_path / "ray.log").touch()
    (tmp_path / "workers-notes.log").touch()
    remove_old_logs(tmp_path, kept=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ray.log",
        f"workers-20250101-000000-{os.getpid()}.log",
        f"workers-20260101-000004-{ended.pid}.log",
        f"workers-20260101-000005-{ended.pid}.log",
        "workers-notes.log",
    ]
