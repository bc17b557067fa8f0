"""How a child process ended that did not say why itself.

Knows exit codes and logs. Must not know what the child was for.
"""

from __future__ import annotations

import re
import signal
import textwrap
from pathlib import Path

__all__ = ["end_of_log", "ending_of"]

_LINES = 3
_BYTES = 8192
_LETTERS = 160
"""Of a line of a log, as Ray's have a thousand."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def ending_of(code: int) -> str:
    """An exit code in words: `ended with code 1`, `was killed by SIGKILL`."""
    if code >= 0:
        return f"ended with code {code}"
    names = {number.value: number.name for number in signal.Signals}
    return f"was killed by {names.get(-code, f'signal {-code}')}"


def end_of_log(log: Path) -> str:
    """The last lines of a log, and where it is, in one line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _BYTES))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"its log {log} cannot be read ({error.strerror})"
    lines = [
        textwrap.shorten(line, _LETTERS, placeholder=" …")
        for line in _COLOURS.sub("", text).splitlines()
        if line.strip()
    ][-_LINES:]
    told = f"its log ends with {' | '.join(lines)!r}" if lines else "its log is empty"
    return f"{told}; the log is {log}"
