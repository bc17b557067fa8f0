"""The processes of a command that runs a study: what they do, and killing one of them."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from bandstand.store.store import Store
from tests.waiting import wait_until


def epochs_of(store: Store, name: str) -> int:
    return next((study.epochs for study in store.studies() if study.name == name), 0)


def actor_processes(command: subprocess.Popen[str], actor: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(command.pid).children(recursive=True):
        try:
            if process.cmdline() and process.cmdline()[0].startswith(f"ray::{actor}"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def ray_folder_of(command: subprocess.Popen[str]) -> Path:
    """Where the local Ray keeps its files that a command has started, by the command line of its GCS."""
    for process in psutil.Process(command.pid).children(recursive=True):
        with suppress(psutil.Error):
            found = re.search(r"/\S*?bandstand-ray-\w+", " ".join(process.cmdline()))
            if found:
                return Path(found[0])
    raise AssertionError("no process of a local Ray")


def kill_one(command: subprocess.Popen[str], actor: str, rng: random.Random) -> None:
    processes = wait_until(f"a {actor} process", lambda: actor_processes(command, actor))
    rng.choice(processes).send_signal(signal.SIGKILL)


def let_it_train(command: subprocess.Popen[str], store: Store, name: str, epochs: int, rng: random.Random) -> None:
    """Until so many more epochs are recorded, and a random moment longer. Ray may take minutes to start."""
    if not epochs_of(store, name):
        wait_until("an epoch", lambda: epochs_of(store, name) or command.poll() is not None, seconds=400)
    goal = epochs_of(store, name) + epochs
    wait_until(f"{goal} epochs", lambda: epochs_of(store, name) >= goal or command.poll() is not None)
    assert command.poll() is None, command.communicate()[0]
    time.sleep(rng.uniform(0, 0.7))
