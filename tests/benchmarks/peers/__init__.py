"""The peers' environment: KerasTuner and Optuna's Keras callback, beside the project's own packages.

They are no dependencies of the project, so they stay out of `.venv`. Their own environment sees the packages of the one
that runs the benchmarks through a `.pth` file: TensorFlow is not installed twice, and both sides train with the same.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from functools import cache
from pathlib import Path

__all__ = ["NoPeersError", "peers_python"]

_ROOT = Path(__file__).parents[3]
_FOLDER = _ROOT / ".venv-peers"
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")


class NoPeersError(RuntimeError):
    """The peers' environment cannot be made; the message is one line."""


@cache
def peers_python() -> Path:
    """The interpreter that has the peers; their environment is made when first needed, and when it is out of date.

    Raises:
        NoPeersError: it cannot be made, as without a network.
    """
    python, stamp = _FOLDER / "bin" / "python", _FOLDER / "made-from"
    wanted = f"{sys.version}\n{sysconfig.get_path('purelib')}\n{_REQUIREMENTS.read_text()}"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        print(f"installing the peers into {_FOLDER.name} …", flush=True)
        stamp.unlink(missing_ok=True)
        _install(python)
        stamp.write_text(wanted)
    return python


def _install(python: Path) -> None:
    venv.create(_FOLDER, clear=True, with_pip=True)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(_FOLDER)}))
    (own / "project.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    constraints = ["-c", str(_ROOT / "constraints.txt")]
    done = subprocess.run([*pip, *constraints, "-r", str(_REQUIREMENTS)], capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
        raise NoPeersError(f"the peers cannot be installed: {lines[-1]}")
