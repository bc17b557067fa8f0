"""The Python session of a page: a process of its own, started when the first block needs it.

Run as a script, this file is that process: it reads blocks as lines of JSON from one descriptor, executes them in one
namespace, as an interactive Python would, and answers each on another descriptor. What the blocks print goes to its
standard output.
"""

from __future__ import annotations

import json
import linecache
import os
import subprocess
import sys
import traceback
import types
from collections.abc import Mapping
from pathlib import Path
from select import select
from typing import Any

__all__ = ["PythonSession"]


class PythonSession:
    """One namespace in a process of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str], log: Path):
        asked, ask = os.pipe()
        answered, answer = os.pipe()
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-u", __file__, str(asked), str(answer)],
                cwd=folder,
                env=dict(environment),
                pass_fds=(asked, answer),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        os.close(asked)
        os.close(answer)
        self._ask = os.fdopen(ask, "w")
        self._answers = os.fdopen(answered)

    def execute(self, code: str, page: str, line: int, timeout_seconds: float) -> tuple[bool, str]:
        """Execute a block.

        Args:
            code: what is executed.
            page: named in tracebacks.
            line: the page's line on which the code begins.
            timeout_seconds: how long it may take.

        Returns:
            Whether it ended without an exception, and what was printed.
        """
        begin = self._log.stat().st_size
        self._ask.write(json.dumps({"code": code, "page": page, "line": line}) + "\n")
        self._ask.flush()
        ready, _, _ = select([self._answers], [], [], timeout_seconds)
        answer = self._answers.readline() if ready else ""
        said = self._log.read_bytes()[begin:].decode(errors="replace")
        if answer:
            return json.loads(answer)["done"], said
        return False, f"{said}\n(the process died, or took longer than {timeout_seconds:g} s)"

    def close(self) -> None:
        """End the process."""
        self._ask.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()


def _serve(asked: int, answer: int) -> None:
    for descriptor in (asked, answer):
        os.set_inheritable(descriptor, False)  # what a block starts has nothing to do with them
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    sys.argv, sys.path[0] = [""], ""
    with os.fdopen(asked) as requests, os.fdopen(answer, "w") as answers:
        for request in requests:
            done = _execute(json.loads(request), main)
            sys.stdout.flush()
            sys.stderr.flush()
            answers.write(json.dumps({"done": done}) + "\n")
            answers.flush()


def _execute(request: Mapping[str, Any], main: types.ModuleType) -> bool:
    # A file for each block, so that functions of the blocks before keep their source.
    name = f"<{request['page']}:{request['line']}>"
    code = "\n" * (request["line"] - 1) + request["code"]  # tracebacks have the page's lines
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    try:
        exec(compile(code, name, "exec"), main.__dict__)
    except SystemExit as ended:
        return ended.code in (None, 0)
    except BaseException:  # noqa: BLE001  # a block may raise anything
        traceback.print_exc()
        return False
    return True


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
