"""A process with a home of its own: an embedded PostgreSQL, Ray's files and checkpoints are its own, and go with it.

Knows processes and what ends them. Must not know what is measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["NotMeasuredError", "answer_of"]

_ROOT = Path(__file__).parents[3]
_ENDING_SECONDS = 60
_UNSET = ("BANDSTAND_DATABASE_URL", "BANDSTAND_CHECKPOINTS", "RAY_ADDRESS")


class NotMeasuredError(RuntimeError):
    """A process did not do its work; the message is one line."""


def answer_of(command_for: Callable[[Path], list[str]], timeout_seconds: float, **environment: str) -> Any:
    """Run a command whose home is empty; returns the JSON that it has written.

    Args:
        command_for: given the file that the answer belongs into, the command.
        timeout_seconds: after which it is ended.
        environment: further variables.

    Raises:
        NotMeasuredError: it died, took too long or wrote nothing.
    """
    # Ray's sockets need a short path. What is slow to end may still write while the folder is removed.
    short = "/tmp" if Path("/tmp").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="bench-", dir=short, ignore_cleanup_errors=True) as home:
        answer, log = Path(home) / "answer.json", Path(home) / "log"
        variables = {key: value for key, value in os.environ.items() if key not in _UNSET}
        variables |= {"BANDSTAND_HOME": home, "TMPDIR": home, "RAY_TMPDIR": home, "PYTHONPATH": str(_ROOT)}
        # Ray gives its workers a low priority, which would slow them alone where the machine has other work too.
        variables |= {"RAY_worker_niceness": "0", **environment}
        _run_to_its_end(command_for(answer), variables, log, timeout_seconds)
        if not answer.is_file():
            lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise NotMeasuredError(lines[-1])
        return json.loads(answer.read_text())


def _run_to_its_end(command: list[str], environment: dict[str, str], log: Path, timeout_seconds: float) -> None:
    """Where that takes too long, or this process is interrupted, all that it started ends too."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=_ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        process.wait(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        raise NotMeasuredError(f"it did not end within {timeout_seconds:.0f} s") from None
    finally:
        for number in (signal.SIGINT, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_ENDING_SECONDS)
