"""A Ray cluster of several nodes on this machine, each node a process of its own that a test may kill."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

import psutil

__all__ = ["RayNodes"]


class RayNodes:
    """The cluster; its head has no room for trainers. Ends with the context."""

    def __init__(self) -> None:
        """Start the head."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._nodes: list[psutil.Process] = []
        # Short, because Ray's sockets lie there; the head's and everybody's sessions in one would be confused.
        self._folder = tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True)
        self.settings = {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_raylet_start_wait_time_s": "180",  # on a machine that does much else
        }
        port = self.address.split(":")[1]
        self._start(
            "--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={self._folder.name}"
        )

    def add(self, cpus: int) -> psutil.Process:
        """Start a node."""
        return self._start(f"--address={self.address}", f"--num-cpus={cpus}")

    def kill(self, node: psutil.Process) -> None:
        """End a node as if its machine had lost its power: it, and all that runs on it."""
        processes = [node, *node.children(recursive=True)]
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(processes, timeout=20)

    def kill_gcs(self) -> None:
        """End the cluster's GCS alone; its nodes do not know that yet."""
        for process in self._nodes[0].children(recursive=True):
            if process.name() == "gcs_server":
                process.kill()
                return
        raise AssertionError("no GCS")

    def ask(self, code: str) -> str:
        """What Python code prints that has `ray`, connected."""
        connect = f"import ray; ray.init(address={self.address!r}, log_to_driver=False, logging_level=40)\n"
        asked = subprocess.run(
            [sys.executable, "-c", connect + code],
            env=os.environ | self.settings,
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
        return asked.stdout.strip()

    def __enter__(self) -> RayNodes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in reversed(self._nodes):
            if node.is_running():
                self.kill(node)
        self._folder.cleanup()

    def _start(self, *arguments: str) -> psutil.Process:
        ray = Path(sys.executable).with_name("ray")
        command = [str(ray), "start", "--block", "--node-ip-address=127.0.0.1", f"--object-store-memory={80 * 1024**2}"]
        process = subprocess.Popen(
            [*command, *arguments],
            env=os.environ | self.settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "This node has joined" in line or "Ray runtime started" in line:
                self._nodes.append(psutil.Process(process.pid))
                return self._nodes[-1]
        raise AssertionError("a Ray node did not start:\n" + "".join(said))
