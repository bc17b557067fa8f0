"""Cells: parts of a benchmark that run in a process and a home of their own, so that none leaves anything behind.

A cell is a function at the top of a module that takes and returns what JSON can say. Its home is empty when it begins:
an embedded PostgreSQL, Ray's files and checkpoints are its own, and go with it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["NotMeasuredError", "run_cell"]

_ROOT = Path(__file__).parents[2]
_ENDING_SECONDS = 60
_UNSET = ("BANDSTAND_DATABASE_URL", "BANDSTAND_CHECKPOINTS", "RAY_ADDRESS")


class NotMeasuredError(RuntimeError):
    """A cell did not do its work; the message is its last words."""


def run_cell(work: Callable[..., Any], *arguments: Any, timeout_seconds: float = 1800) -> Any:
    """What `work(*arguments)` returns in a process of its own.

    Raises:
        NotMeasuredError: it raised, died or took too long.
    """
    short = "/tmp" if Path("/tmp").is_dir() else None  # Ray's sockets need a short path
    with tempfile.TemporaryDirectory(prefix="bench-", dir=short, ignore_cleanup_errors=True) as home:
        environment = {key: value for key, value in os.environ.items() if key not in _UNSET}
        environment |= {"BANDSTAND_HOME": home, "TMPDIR": home, "RAY_TMPDIR": home, "PYTHONPATH": str(_ROOT)}
        environment |= {"RAY_worker_niceness": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
        answer, log = Path(home) / "answer.json", Path(home) / "log"
        name = f"{_module_of(work)}:{work.__name__}"
        command = [sys.executable, "-m", "tests.benchmarks.cells", name, json.dumps(arguments), str(answer)]
        _run_to_its_end(command, environment, log, timeout_seconds)
        if not answer.is_file():
            lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise NotMeasuredError(f"{name}: {lines[-1]}")
        return json.loads(answer.read_text())


def _module_of(work: Callable[..., Any]) -> str:
    module = work.__module__
    if module == "__main__":  # a benchmark's file was run by itself
        module = f"tests.benchmarks.{Path(sys.modules['__main__'].__file__ or '').stem}"
    return module


def _run_to_its_end(command: list[str], environment: dict[str, str], log: Path, timeout_seconds: float) -> None:
    """Whatever happens, nothing that it started stays."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=_ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=timeout_seconds)
    finally:
        for number in (signal.SIGINT, signal.SIGKILL):
            if process.poll() is None:
                os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_ENDING_SECONDS)


def main() -> None:
    """`python -m tests.benchmarks.cells MODULE:FUNCTION ARGUMENTS FILE`: in the cell's own process."""
    name, arguments, answer = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    module, _, function = name.partition(":")
    result = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    Path(answer).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
