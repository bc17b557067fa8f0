"""Servers in processes of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.waiting import wait_until

PATIENCE_SECONDS = 600.0  # a busy machine needs minutes to import TensorFlow a few times at once


class Server:
    """`bandstand serve` in a process of its own."""

    def __init__(self, output: Path, environment: dict[str, str], cwd: Path | None = None):
        self._output = output
        already = len(output.read_text()) if output.exists() else 0
        command = [sys.executable, "-P", "-m", "bandstand", "serve", "--port", "0"]
        with output.open("a") as file:
            self.process = subprocess.Popen(command, cwd=cwd, env=os.environ | environment, stdout=file, stderr=file)
        told = wait_until(
            "an address", lambda: re.search(r"serves at (http://\S+)", output.read_text()[already:]), PATIENCE_SECONDS
        )
        self.url = told[1]

    def dispatcher(self) -> psutil.Process:
        return wait_until("a dispatcher", psutil.Process(self.process.pid).children)[0]

    def kill(self) -> None:
        """End server and dispatcher as a power cut would."""
        dispatcher = self.dispatcher()
        self.process.kill()
        dispatcher.kill()
        self.process.wait()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)
