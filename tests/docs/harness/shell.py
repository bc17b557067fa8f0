"""Console blocks, run by bash: variables and the folder carry over from one block to the next, as in a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Shell"]

_BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c")


class Shell:
    """The terminal of one page, with the servers that it has started.

    Args:
        folder: where the first block begins.
        environment: its variables.
        notes: a folder for what the shell remembers, outside of the page's.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], notes: Path):
        self._folder = folder
        self._environment = dict(environment)
        self._notes = notes
        self._servers: list[subprocess.Popen[bytes]] = []

    def run(self, code: str, timeout_seconds: float) -> tuple[int | None, str]:
        """Run a block.

        Returns:
            Its exit code, None where it took too long, and what it printed.
        """
        log = self._new_log()
        with log.open("wb") as output:
            process = self._start(f"{self._as_before()}\n{self._remembered()}\n{code}", output)
        try:
            ended: int | None = process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            _stop(process)
            ended = None
        return ended, log.read_text(errors="replace")

    def start(self, code: str, ready: str, timeout_seconds: float) -> tuple[bool, str]:
        """Start a server.

        Returns:
            Whether it printed a line with `ready` in time, and what it printed.
        """
        log = self._new_log()
        with log.open("wb") as output:
            process = self._start(f"{self._as_before()}\n{code}", output)
        self._servers.append(process)
        end = time.monotonic() + timeout_seconds
        while time.monotonic() < end:
            ended = process.poll() is not None
            if any(ready in line for line in log.read_text(errors="replace").splitlines()):
                return True, log.read_text(errors="replace")
            if ended:
                break
            time.sleep(0.1)
        return False, log.read_text(errors="replace")

    def close(self) -> None:
        """Stop the servers, the last one first."""
        for process in reversed(self._servers):
            _stop(process)

    def _start(self, script: str, output: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*_BASH, script],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,  # type: ignore[arg-type]  # an open file
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that a signal reaches all that it has started, and nobody else
        )

    def _new_log(self) -> Path:
        return self._notes / f"shell-{len(list(self._notes.glob('shell-*')))}.log"

    def _as_before(self) -> str:
        if not (self._notes / "variables").exists():
            return ""
        return f'source "{self._notes}/variables"; cd "$(<"{self._notes}/folder")"'

    def _remembered(self) -> str:
        return f'trap \'export -p > "{self._notes}/variables"; pwd > "{self._notes}/folder"\' EXIT'


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C for what the process has started, then less polite."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        os.killpg(process.pid, number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            continue
