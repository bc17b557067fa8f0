"""A Ray of our own on this machine, where there is no cluster: started, found again, and ended by its process ids.

Knows processes, ports and the token. Must not know what is run on it. One such Ray per BANDSTAND_HOME: a lock is held
while a dispatcher has it, and a file that only this user can read says which one it is, so that one that was left by a
killed dispatcher is used again, with the jobs that still run on it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from bandstand.errors import ServiceError
from bandstand.private_folders import home_folder, make_home
from bandstand.running.bounded_log import begin_anew
from bandstand.running.child_death import end_of_log
from bandstand.running.ray_folders import RayFolder, ray_path, take_from_others
from bandstand_workers.fleet.ray_connection import local_cores, ray_bounds

__all__ = ["LocalRay", "free_ports"]

_START_SECONDS = 240.0
_END_SECONDS = 20.0
_STOP_SECONDS = 60
"""That a job has between SIGTERM and SIGKILL; Ray's own default is 3, too few for an epoch."""
_SERVERS = ("gcs_server", "raylet")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What the file holds."""

    address: str
    token: str
    folder: str
    processes: dict[str, float]  # process id -> when it began: an id alone may be somebody else's by now


class LocalRay:
    """A running Ray; made by `start`."""

    def __init__(self, known: _Known, file: Path, lock: Any):
        """Use `start`."""
        self._known = known
        self._file = file
        self._lock = lock  # held until this process ends

    @property
    def address(self) -> str:
        """Of its job server, on the loopback interface."""
        return self._known.address

    @property
    def session(self) -> Path:
        """The folder of Ray's session, with the logs of its jobs."""
        return (ray_path(Path(self._known.folder)) / "session_latest").resolve()

    @classmethod
    def start(cls, home: Path, database_url: str | None, cancelled: Callable[[], bool]) -> LocalRay | None:
        """Start a Ray, or find the one that a killed dispatcher has left.

        Its token is in the environment of this process afterwards, and must be before Ray is imported.

        Args:
            home: folder for the lock, the file and the log.
            database_url: a secret, for the environment of the jobs; None where they have logins of their own.
            cancelled: looked at while waiting; if it is true, there is none.

        Raises:
            ServiceError: it does not start; the message names its log.
        """
        make_home()
        lock = _lock(home / "ray.lock", cancelled)
        if lock is None:
            return None
        file = home / "ray.json"
        left = _read(file)
        if left is not None:
            _use_token(left.token)
            if _alive(left) and _answers(left.address):
                _log.info("the local Ray of an earlier server still runs at %s; it is used again", left.address)
                return cls(left, file, lock)
            _end(left, file)
        known = _start(home, file, database_url, cancelled)
        return None if known is None else cls(known, file, lock)

    def is_alive(self) -> bool:
        """Whether its first process still runs; Ray ends it when one of the others has died."""
        return len(_alive(self._known)) == len(self._known.processes)

    def close_folder(self) -> None:
        """Take from other users what its processes have given them since."""
        take_from_others(Path(self._known.folder))

    def stop(self) -> None:
        """End its processes, and those that they have started."""
        _end(self._known, self._file)


def _lock(path: Path, cancelled: Callable[[], bool]) -> Any:
    handle = path.open("a")
    told = False
    while not cancelled():
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if not told:
                _log.info("another server of %s has the local Ray; waiting for its end", path.parent)
                told = True
            time.sleep(0.5)
    return None


def _start(home: Path, file: Path, database_url: str | None, cancelled: Callable[[], bool]) -> _Known | None:
    _use_token(secrets.token_hex(32))
    folder = RayFolder()  # not under home: paths of sockets must be short
    port, gcs_port, agent_port = free_ports(3)
    command = [
        sys.executable, "-P", "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats",
        "--log-color=false", "--node-ip-address=127.0.0.1", f"--port={gcs_port}", "--dashboard-host=127.0.0.1",
        f"--dashboard-port={port}", f"--dashboard-agent-listen-port={agent_port}", f"--temp-dir={folder.path}",
        f"--num-cpus={local_cores()}", f"--object-store-memory={256 * 1024**2}",
    ]  # fmt: skip
    log = home_folder("logs") / "ray.log"
    begin_anew(log)
    with log.open("a") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            cwd=folder.empty, env=_environment(database_url), pass_fds=folder.locks,
        )  # fmt: skip
    known = _Known(
        address=f"http://127.0.0.1:{port}", token=os.environ["RAY_AUTH_TOKEN"], folder=str(folder.private),
        processes=_family(process.pid),
    )  # fmt: skip
    _write(file, known)
    deadline = time.monotonic() + _START_SECONDS
    while not (_is_complete(known) and _answers(known.address)):
        if cancelled():
            _end(known, file)
            return None
        if process.poll() is not None or time.monotonic() > deadline:
            _end(known, file)
            raise ServiceError(f"the local Ray does not start; {end_of_log(log)}")
        time.sleep(0.2)
    known = _Known(**asdict(known) | {"processes": known.processes | _servers(known)})
    _write(file, known)
    _log.info("a local Ray with %d CPUs runs at %s", local_cores(), known.address)
    return known


def _environment(database_url: str | None) -> dict[str, str]:
    environment = (
        os.environ
        | ray_bounds()
        | {
            "BANDSTAND_DATABASE_URL": database_url or "",
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # there is no other node to move anything to
            "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_SECONDS),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
        }
    )
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        environment.pop(name, None)
    return environment


def _use_token(token: str) -> None:
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = token
    os.environ.pop("RAY_AUTH_TOKEN_PATH", None)


def free_ports(number: int) -> list[int]:
    """Ports on the loopback interface that nobody has at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _answers(address: str) -> bool:
    """Whether a job server answers there, to our token."""
    import requests
    from ray.exceptions import AuthenticationError

    from bandstand_workers.internals.ray_job_parts import PatientClient

    try:
        PatientClient(address)
    except (AuthenticationError, ConnectionError, requests.RequestException, RuntimeError, ValueError):
        return False  # by what it is that is not ready yet
    return True


# -- its processes ----------------------------------------------------------------------------------------------------


def _family(pid: int) -> dict[str, float]:
    """A process and all that descend from it."""
    try:
        first = psutil.Process(pid)
        members = [first, *first.children(recursive=True)]
        return {str(member.pid): member.create_time() for member in members if member.is_running()}
    except psutil.NoSuchProcess:
        return {}


def _servers(known: _Known) -> dict[str, float]:
    """Those of its processes that Ray cannot be without."""
    first = next(iter(known.processes))
    return {pid: began for pid, began in _family(int(first)).items() if _name(int(pid)) in _SERVERS}


def _is_complete(known: _Known) -> bool:
    return bool(known.processes) and len(_servers(known)) == len(_SERVERS)


def _name(pid: int) -> str:
    try:
        return str(psutil.Process(pid).name())
    except psutil.NoSuchProcess:
        return ""


def _alive(known: _Known) -> list[psutil.Process]:
    found = []
    for pid, began in known.processes.items():
        try:
            process = psutil.Process(int(pid))
            if process.create_time() == began and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def _end(known: _Known, file: Path) -> None:
    """End what is left of it, and remove what it has left behind."""
    first = _alive(known)
    family: list[psutil.Process] = []
    for process in first:
        try:
            family += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    for process in first:
        _signal(process.terminate)
    _, stubborn = psutil.wait_procs(set(family), timeout=_END_SECONDS if family else 0)
    for process in stubborn:
        _signal(process.kill)
    psutil.wait_procs(stubborn, timeout=5)
    shutil.rmtree(known.folder, ignore_errors=True)
    file.unlink(missing_ok=True)


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        pass


# -- its file ---------------------------------------------------------------------------------------------------------


def _read(file: Path) -> _Known | None:
    try:
        return _Known(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write(file: Path, known: _Known) -> None:
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as handle:
        json.dump(asdict(known), handle)
    new.replace(file)
