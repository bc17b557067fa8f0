"""GPUs: whether there are any, and whether a trainer can use them.

Knows drivers and how they are asked. Must not import TensorFlow or JAX: both are asked in a process of their own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bandstand.commands.work.checkup.finding import Finding, ok, problem, warning
from bandstand.extras import missing_packages

__all__ = ["examine_gpus"]

_PART = "GPU"
_ASK = {
    "tensorflow": "import tensorflow as it; print(len(it.config.list_physical_devices('GPU')))",
    "jax": "import jax; print(sum(one.platform != 'cpu' for one in jax.devices()))",
}
_ASK_SECONDS = 120


def examine_gpus() -> Iterator[Finding]:
    """None is no problem; one that trainers cannot use is."""
    if not _has_device():
        yield ok(_PART, "this machine has none, so trainings use its CPUs")
        return
    names = _driver_says()
    if names is None:
        advice = "install the driver that fits the kernel, or start the container with `--gpus all`; try `nvidia-smi`"
        yield problem(_PART, "there is one, and its driver does not answer", advice)
        return
    told = ", ".join(names) or "none"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and not hidden.strip("-1 "):
        yield warning(_PART, f"{told}; CUDA_VISIBLE_DEVICES hides it", "unset CUDA_VISIBLE_DEVICES")
        return
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in _ASK or missing_packages([backend]):
        yield ok(_PART, f"{told}; {backend} is not installed here, so that it was not asked")
        return
    count = _backend_says(backend)
    if count:
        yield ok(_PART, f"{told}; {backend} uses {count}")
    else:
        yield problem(_PART, f"{told}; {backend} finds none of it", 'pip install "bandstand[gpu]"')


def _has_device() -> bool:
    return bool(list(Path("/dev").glob("nvidia[0-9]*"))) or Path("/proc/driver/nvidia/version").exists()


def _driver_says() -> list[str] | None:
    """The GPUs by name; None where the driver does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _backend_says(backend: str) -> int:
    """How many GPUs the backend finds, asked in a process of its own."""
    command = [sys.executable, "-P", "-c", _ASK[backend]]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_ASK_SECONDS, check=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
        )  # fmt: skip
        return int(done.stdout.split()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return 0
