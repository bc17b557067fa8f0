"""Cells: parts of a benchmark that run in a process and a home of their own, so that none leaves anything behind.

A cell is a function at the top of a module that takes and returns what JSON can say.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring.own_process import NotMeasuredError, answer_of

__all__ = ["run_cell"]


def run_cell(work: Callable[..., Any], *arguments: Any, timeout_seconds: float = 1800) -> Any:
    """What `work(*arguments)` returns in a process of its own.

    Raises:
        NotMeasuredError: it raised, died or took too long.
    """
    name = f"{_module_of(work)}:{work.__name__}"

    def command_for(answer: Path) -> list[str]:
        return [sys.executable, "-m", "tests.benchmarks.measuring.cells", name, json.dumps(arguments), str(answer)]

    try:
        return answer_of(command_for, timeout_seconds, TF_CPP_MIN_LOG_LEVEL="3")
    except NotMeasuredError as error:
        raise NotMeasuredError(f"{name}: {error}") from None


def _module_of(work: Callable[..., Any]) -> str:
    module = work.__module__
    if module == "__main__":  # a benchmark's file was run by itself
        spec = sys.modules["__main__"].__spec__
        assert spec is not None, "a benchmark's file is run with `python -m`"
        module = spec.name
    return module


def main() -> None:
    """`python -m tests.benchmarks.measuring.cells MODULE:FUNCTION ARGUMENTS FILE`: in the cell's own process."""
    name, arguments, answer = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    module, _, function = name.partition(":")
    result = getattr(importlib.import_module(module), function)(*json.loads(arguments))
    Path(answer).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
