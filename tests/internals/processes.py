"""Scripts run by a Python of their own, whose libraries nobody has touched before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def told_by(script: str, backend: str = "tensorflow") -> Any:
    """What a script prints as JSON in its last line; it is run with Keras on this backend.

    Where a library is changed to see a canary die (see `changes`), it is changed for the script, too.
    """
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", "import tests.internals.changes\n" + textwrap.dedent(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
