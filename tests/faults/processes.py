"""The processes below a storm: what each is, and that none outlives it.

Knows the operating system and how Ray's, PostgreSQL's and Bandstand's processes are called. Must not know why any is
killed.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterable

import psutil

__all__ = ["KINDS", "adopt_orphans", "kind_of", "living", "of_kind", "own", "reap"]

_PR_SET_CHILD_SUBREAPER = 36
KINDS = ("front", "workers", "coordinator", "trainer", "raylet", "gcs", "postmaster", "backend")
"""What can be killed one by one."""


own: set[int] = set()
"""Children of this process that somebody here waits for."""


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies: `living` then misses none, and finds no stranger.

    A thread takes note of their deaths: what has died must not look as if it ran.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this kernel has no subreapers")
    threading.Thread(target=_reap_for_ever, daemon=True).start()


def _reap_for_ever() -> None:
    while True:
        threading.Event().wait(0.2)
        reap()


def living() -> list[psutil.Process]:
    """All processes that this one or its descendants have started and that run."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def kind_of(process: psutil.Process) -> str:
    """One of `KINDS`, or "other"."""
    try:
        words, name = process.cmdline(), process.name()
    except psutil.Error:
        return "other"
    line = " ".join(words)
    if line.startswith("ray::"):
        if "Coordinator" in line:
            return "coordinator"
        return "other" if line.startswith("ray::IDLE") else "trainer"
    if name == "gcs_server":
        return "gcs"
    if name == "raylet":
        return "raylet"
    if line.startswith("postgres: "):
        return "backend" if "[local]" in line else "other"
    if name == "postgres":
        return "postmaster"
    if "-m bandstand_workers" in line:
        return "workers"
    return "front" if "-m bandstand run" in line else "other"


def of_kind(*kinds: str, but: Iterable[int] = ()) -> list[psutil.Process]:
    """The living ones of these kinds, without those of the ids `but`."""
    spared = set(but)
    return [process for process in living() if process.pid not in spared and kind_of(process) in kinds]


def reap() -> None:
    """Take note of the deaths of orphans."""
    for process in psutil.Process().children():
        try:
            if process.pid not in own and process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, os.WNOHANG)
        except (psutil.Error, ChildProcessError):
            continue
