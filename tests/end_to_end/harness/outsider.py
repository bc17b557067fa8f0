"""Another user of the machine, `nobody`, who tries everything that is ours."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

NOBODY = 65534
_TRIES = """
import json, os, socket, stat, sys

def can(do):
    try:
        do()
    except OSError:
        return False
    return True

def connect(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.settimeout(5)
        one.connect(path)

assert os.getuid() == os.geteuid() == 65534 and os.getgroups() in ([], [65534]), "not nobody"
found = []
for path in json.load(sys.stdin):
    if can(lambda: os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))):
        found.append(["read", path])
    if can(lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))):
        found.append(["write", path])
    if can(lambda: os.listdir(path)):
        found.append(["list", path])
    if can(lambda: os.close(os.open(path + "/of-nobody", os.O_CREAT | os.O_WRONLY))):
        found.append(["make a file in", path])
    if can(lambda: connect("\\0" + path[1:] if path[0] == "@" else path)):
        found.append(["connect to", path])
for kind in ("environ", "fd", "maps"):
    for process in sys.argv[1:]:
        path = f"/proc/{process}/{kind}"
        if can(lambda: os.listdir(path) if kind == "fd" else open(path, "rb").read(1)):
            found.append(["look into", path])
print(json.dumps(found))
"""


def require_root() -> str:
    """The interpreter that nobody may run; the test is skipped where there is none, or by whom cannot become nobody."""
    if os.geteuid() != 0:
        pytest.skip("only root can try things as another user; run this test as root, say in a container")
    python = str(Path(sys.executable).resolve())
    done = subprocess.run(
        [python, "-I", "-c", "print(1)"], user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", check=False
    )
    if done.returncode != 0:
        pytest.skip(f"nobody may not run {python}")
    return python


def doors(paths: Iterable[str | Path], processes: Iterable[psutil.Process] = ()) -> list[list[str]]:
    """What nobody could do: pairs of a deed and a path.

    Args:
        paths: that are tried; of a folder, all that is in it, whether nobody could find its name or not.
        processes: into which nobody tries to look.
    """
    tried = sorted({name for path in paths for name in _below(str(path))})
    done = subprocess.run(
        [require_root(), "-I", "-c", _TRIES, *(str(process.pid) for process in processes)],
        input=json.dumps(tried), user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", env={},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


def _below(path: str) -> Iterator[str]:
    yield path
    for folder, folders, files in os.walk(path):
        yield from (f"{folder}/{name}" for name in (*folders, *files))


def opened_by(processes: Iterable[psutil.Process]) -> set[str]:
    """Files for writing, and sockets, that processes have open, but for devices and what is not in a file system."""
    found = set()
    for process in processes:
        try:
            for one in process.open_files():
                if one.mode != "r":
                    found.add(one.path)
            for link in process.net_connections("unix"):
                if link.laddr:
                    found.add(str(link.laddr))
        except psutil.Error:
            continue
    return found


def family(*pids: int) -> list[psutil.Process]:
    """These processes and all that descend from them."""
    firsts = [psutil.Process(pid) for pid in pids]
    return [*firsts, *(child for first in firsts for child in first.children(recursive=True))]


def writable_by_all(folder: Path) -> list[str]:
    """What is in a folder, and every user could write, were it not for the modes above it."""
    found = []
    for path in _below(str(folder)):
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            continue
        if mode & stat.S_IWOTH and not stat.S_ISLNK(mode):
            found.append(path)
    return found


def answers(path: str) -> bool:
    """Whether a socket takes connections of this user: a test that tries sockets must try one that is open."""
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(path)
        except OSError:
            return False
        return True
