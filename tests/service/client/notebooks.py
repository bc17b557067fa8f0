"""Notebooks for the tests: cells that run one after the other in a process of their own, without a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_RUN = """
import __main__, code, json, sys
session = code.InteractiveInterpreter(__main__.__dict__)
for cell in json.loads(sys.stdin.read()):
    session.runcode(compile(cell, "<cell>", "exec"))
"""

IMPORTS = """
from bandstand_spaces import Float, SearchSpace
from bandstand import Budget, StudySpec
from bandstand.client.packing import pack_study


def spec_of(model, data, **settings):
    return StudySpec(
        name="from-a-notebook", model=model, data=data, space=SearchSpace({"rate": Float(0.1, 1.0)}), max_epochs=3,
        budget=Budget(epochs=9), **settings,
    )
"""

WRITE = """
import json, sys
print(json.dumps({
    "model": packed.spec.model, "data": packed.spec.data, "callbacks": list(packed.spec.callbacks),
    "code": packed.archive.content.hex() if packed.archive else None, "notes": packed.notes,
}))
"""


def run_cells(cells: Sequence[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run cells in a Python without a script, in `folder`."""
    return subprocess.run(
        [sys.executable, "-c", _RUN], input=json.dumps(list(cells)), capture_output=True, text=True, cwd=folder,
        env=os.environ | environment, timeout=480, check=False,
    )  # fmt: skip


def pack_cells(cells: Sequence[str], folder: Path, **environment: str) -> dict[str, Any]:
    """What the last cell has packed as `packed`."""
    done = run_cells([IMPORTS, *cells, WRITE], folder, **environment)
    assert done.returncode == 0 and done.stdout, done.stderr
    packed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return packed


def run_plainly(script: str, folder: Path) -> str:
    """What a plain Python process prints that has only `folder` as its own."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
