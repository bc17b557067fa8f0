"""Servers in processes of their own, and the users of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from bandstand.store.accounts import Role
from bandstand.store.store import Store
from bandstand.submissions import CodeArchive
from tests.end_to_end.harness.project import CODE, SETTINGS
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


class User:
    """Somebody with a token, who asks over HTTP."""

    def __init__(self, store: Store, name: str):
        self.token = store.accounts.create_token(name, Role.SUBMITTER, 1).text
        self._http = httpx.Client(headers={"Authorization": f"Bearer {self.token}"}, timeout=60)
        self.server = ""

    def ask(self, method: str, path: str, **options: Any) -> Any:
        answer = self._http.request(method, self.server + path, **options)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def submit(self, name: str, epochs: int) -> None:
        code = CodeArchive.of_files({"project.py": CODE.encode()})
        self.ask("PUT", f"/code/{code.sha256}", content=code.content, headers={"Content-Type": "application/zip"})
        changes = {"name": name, "budget": {"epochs": epochs}, "callbacks": ["project:slow_journal"]}
        spec = {**SETTINGS, **changes, "checkpoint_every": 1}
        self.ask("POST", "/studies", json={"spec": spec, "code": code.sha256, "workers": 1})

    def log(self, name: str, run: int) -> str:
        text = ""
        while True:
            piece = self.ask("GET", f"/studies/{name}/logs", params={"run": run, "start": len(text)})
            text += piece["text"]
            if piece["ended"]:
                return text
            time.sleep(0.5)  # a server limits how often somebody asks
