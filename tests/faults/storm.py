"""A storm over one study after the other: the same command again and again, until the study has ended.

Knows the command line, and what a user sees. Must not know how a study is audited.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from bandstand.store.tables import SCHEMA
from tests.faults.processes import kind_of, living, of_kind, own, reap
from tests.faults.strikes import Strikes

__all__ = ["StormedStudy", "overview", "start_server"]

_HANG_SECONDS = 150.0
"""Without any progress or word and without a strike, after which a study counts as hanging."""
_LEFT_SECONDS = 45.0
"""In which everything that a study's command has started must have ended after it."""
_PROGRESS_SECONDS = 25.0
_UNSTRUCK = 2
"""Starts that may end without a strike before the study is given up."""
_DESTRUCTIVE = 0.45
"""How often a strike does not wait for the progress after the one before: starts are struck, too."""


@dataclass
class StormedStudy:
    """One study in the storm."""

    name: str
    file: Path
    strikes: Strikes
    log: Callable[[str], None]
    most: int
    """Kills that this study gets."""
    findings: list[str] = field(default_factory=list)
    starts: int = 0
    ends_left: int = 3
    """Strikes that are kept for the study's last steps."""
    _process: subprocess.Popen[bytes] | None = None
    _struck: bool = False
    _at: float = 0.0
    _seen: tuple[object, ...] = ()
    _unstruck: int = 0

    def run(self, until: float) -> bool:
        """Run it to its end; tells whether it came there before `until` (of `time.monotonic`)."""
        kills_before = self.strikes.total
        code: int | None = None
        try:
            while time.monotonic() < until:
                if code == 0 or self._unstruck > _UNSTRUCK:
                    break
                if self._process is None:
                    self._start()
                calm = self.strikes.total - kills_before >= self.most
                code = self._follow(calm, until)
                if code is not None:
                    self._ended(code)
        finally:
            self._end_command()
        self._check_nothing_is_left()
        return code == 0

    # -- the command --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self.starts += 1
        self._struck, self._at = False, time.monotonic()
        output = self.file.with_suffix(f".{self.starts}.output")
        with output.open("w") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bandstand", "run", str(self.file), "--workers", self.strikes.rng.choice("12")],
                cwd=self.file.parent, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip
        own.add(self._process.pid)

    def _ended(self, code: int) -> None:
        self._process = None
        output = self.file.with_suffix(f".{self.starts}.output").read_text(errors="replace").strip()
        if "Traceback" in output:
            self.findings.append(f"{self.name}: start {self.starts} ended with a traceback: {output[-1500:]}")
        if code == 0:
            return
        last = output.splitlines()[-1] if output else ""
        self.log(f"  start {self.starts} ended with {code}: {last[-300:]}")
        if not self._struck:
            self._unstruck += 1
            self.findings.append(f"{self.name}: start {self.starts} ended with {code} though nobody struck it: {last}")

    def _follow(self, calm: bool, until: float) -> int | None:
        """Watch the command for a while and strike it; its exit code if it has ended."""
        assert self._process is not None
        code = self._wait(self.strikes.rng.uniform(0.1, 3.0))
        if code is not None or time.monotonic() > until:
            return code
        if calm and not of_kind("postmaster"):
            start_server()  # a study waits for it for five minutes, which is right, and no hanging
        if calm and self.ends_left:
            self.ends_left -= 1
            self._note(self.strikes.strike_end(self._process.pid))
        if not calm and (self.strikes.rng.random() < _DESTRUCTIVE or self._wait_for_progress()):
            if self._process.poll() is None:
                self._note(self.strikes.strike(self.strikes.draw(), self._process.pid))
            self._have_server()
        self._look()
        if time.monotonic() - self._at > _HANG_SECONDS:
            self.findings.append(f"{self.name}: nothing happened for {_HANG_SECONDS:.0f} s; {overview()}")
            self._end_command()
            self._struck = True
            return self._process.wait() if self._process else -9
        return self._process.poll()

    def _note(self, told: str | None) -> None:
        if told is not None:
            self._struck, self._at = True, time.monotonic()
            self.log(f"  {self.strikes.total}: {told}")

    def _wait(self, seconds: float) -> int | None:
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _wait_for_progress(self) -> bool:
        """Wait until an epoch more is stored; tells whether one is, or the command runs for long enough."""
        assert self._process is not None
        before, deadline = self._progress(), time.monotonic() + _PROGRESS_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._progress() != before:
                return True
            time.sleep(0.2)
        return self._process.poll() is None and bool(of_kind("trainer"))

    def _look(self) -> None:
        said = self.file.with_suffix(f".{self.starts}.output").stat().st_size
        seen = (*self._progress(), said)
        if seen != self._seen:
            self._seen, self._at = seen, time.monotonic()

    def _progress(self) -> tuple[object, ...]:
        query = f"""
            SELECT s.state, s.updated_at::date, (SELECT count(*) FROM {SCHEMA}.measurement WHERE study_id = s.id),
                   (SELECT count(*) FROM {SCHEMA}.event WHERE study_id = s.id AND kind <> 'spent')
            FROM {SCHEMA}.study s WHERE name = %s
        """
        try:
            with psycopg.connect(self.strikes.url, connect_timeout=3) as connection:
                return connection.execute(query.encode(), (self.name,)).fetchone() or ()
        except psycopg.Error:
            return ()

    def _have_server(self) -> None:
        """Have the server again where the postmaster was killed: at times at once, as a supervisor would; or not."""
        if of_kind("postmaster") or self.strikes.rng.random() < 0.4:
            return
        time.sleep(self.strikes.rng.uniform(0, 4))
        start_server()

    # -- its end ------------------------------------------------------------------------------------------------------

    def _end_command(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _check_nothing_is_left(self) -> None:
        deadline = time.monotonic() + _LEFT_SECONDS
        while left := [one for one in living() if kind_of(one) != "postmaster" and not _below_postmaster(one)]:
            if time.monotonic() > deadline:
                self.findings.append(f"{self.name}: processes are left: {overview(left)}")
                for one in left:
                    one.kill()
                break
            time.sleep(0.5)
        reap()


def start_server() -> None:
    """Start the embedded server, as the next command would."""
    code = "import os; from bandstand.store.embedded import embedded_url; embedded_url(); os._exit(0)"  # it goes on
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    own.add(process.pid)
    try:
        process.wait(90)
    except subprocess.TimeoutExpired:
        process.kill()


def _below_postmaster(process: psutil.Process) -> bool:
    try:
        return bool(process.name() == "postgres")
    except psutil.Error:
        return True


def overview(processes: list[psutil.Process] | None = None) -> str:
    """Processes in a line: these, or all that live."""
    told = []
    for process in living() if processes is None else processes:
        try:
            told.append(f"{process.pid} {process.status()} {' '.join(process.cmdline())[:90]}")
        except psutil.Error:
            continue
    return "; ".join(told)
