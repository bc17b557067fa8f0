"""Which processes live on this machine, and what they were started with.

Knows `/proc` and `ps`. Must not know what anybody looks for.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

__all__ = ["command_lines", "is_alive", "working_folders"]

_PROC = Path("/proc")


def command_lines() -> list[str]:
    """The command line of every process that this user may see."""
    if (_PROC / "self" / "cmdline").exists():
        found = []
        for process in _PROC.glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        return found
    listed = subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=False, timeout=20)
    return listed.stdout.splitlines()


def working_folders() -> set[str] | None:
    """The folders that processes of this user stand in; None where the system does not tell."""
    if not (_PROC / "self" / "cwd").exists():
        return None
    found = set()
    for process in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile, or is another user's
            found.add(str((process / "cwd").readlink()))
    return found


def is_alive(process: int) -> bool:
    """Whether there is a process of this id, whoever's it is."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
