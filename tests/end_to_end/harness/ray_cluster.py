"""A real Ray cluster of one node, as an operator would start it: with a job server and a token."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

from bandstand_workers.dispatch.local_ray import free_ports


class RayCluster:
    """Runs from its making to `end`; every job sees this database, and these variables."""

    def __init__(self, database_url: str, token: str, cpus: int = 4, variables: Mapping[str, str] | None = None):
        self.token = token
        self._variables = dict(variables or {})
        for _ in range(3):  # Ray gives its node 30 s to start, which a busy machine may miss
            if self._start(database_url, cpus):
                return
        raise AssertionError("Ray does not start")

    def _start(self, database_url: str, cpus: int) -> bool:
        self.folder = Path(tempfile.mkdtemp(prefix="ray-test-"))  # short: paths of sockets must be
        port, gcs_port, agent_port = free_ports(3)
        self.address = f"http://127.0.0.1:{port}"
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--node-ip-address=127.0.0.1",
            f"--port={gcs_port}", "--dashboard-host=127.0.0.1", f"--dashboard-port={port}", f"--num-cpus={cpus}",
            f"--dashboard-agent-listen-port={agent_port}", f"--temp-dir={self.folder}",
            "--object-store-memory=200000000", '--labels={"zone": "here"}',
        ]  # fmt: skip
        environment = os.environ | {
            "BANDSTAND_DATABASE_URL": database_url,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
            "THIEF_JOBS": self.address,
            **self._variables,
        }
        with (self.folder / "output").open("w") as output:
            self._process = psutil.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )
        return self._is_up()

    @property
    def environment(self) -> dict[str, str]:
        """What a server needs to use it."""
        return {"RAY_API_SERVER_ADDRESS": self.address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    def get(self, path: str) -> Any:
        answer = httpx.get(self.address + path, headers={"Authorization": f"Bearer {self.token}"}, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def jobs(self) -> list[dict[str, Any]]:
        return [job for job in self.get("/api/jobs/") if job["type"] == "SUBMISSION"]

    def driver(self, run: str) -> psutil.Process | None:
        """The process of a run's job."""
        for process in self._process.children(recursive=True):
            try:
                if process.cmdline()[-2:] == ["job", run]:
                    return process
            except psutil.Error:
                continue
        return None

    def processes(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def end(self) -> None:
        processes = self.processes()
        self._process.terminate()
        for process in psutil.wait_procs(processes, timeout=20)[1]:
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_up(self) -> bool:
        while self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
            try:
                self.get("/api/version")
                if "This command will now block" in (self.folder / "output").read_text():
                    return True
            except httpx.HTTPError:
                pass
            time.sleep(0.3)
        print((self.folder / "output").read_text())
        self.end()
        return False
