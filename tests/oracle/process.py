"""One process of a run: trains programs as reference or as candidate, and writes what they showed.

Knows files. Must not know what is compared. Started as `python -m tests.oracle.process ROLE FOLDER NUMBER …`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import sys
from pathlib import Path
from typing import Any

from tests.oracle.programs import Program, make_program

__all__ = ["main"]


def main(role: str, folder: Path, seed: int, numbers: list[int], breaks: str = "") -> None:
    """Train these programs.

    Args:
        role: reference; shaken, a reference from weights one rounding beside; candidate-0, or candidate-1, another
            process that goes on after it.
        folder: of the run.
        seed: of the run.
        numbers: of the programs.
        breaks: `module:function` that breaks Bandstand on purpose.
    """
    backend = os.environ["KERAS_BACKEND"]
    code = folder / "code"
    code.mkdir(exist_ok=True)
    sys.path.insert(0, str(code))
    if breaks:
        module, _, function = breaks.partition(":")
        getattr(importlib.import_module(module), function)()
    earlier: Any = None
    for number in numbers:
        program = make_program(seed, number, backend)
        write_source(program, code)
        (folder / f"{role}-{number}.begun").touch()
        if role in ("reference", "shaken"):
            from tests.oracle.reference import train_program

            shown: Any = train_program(program, shaken=role == "shaken")
        else:
            shown, earlier = _train_candidate(program, seed, int(role[-1]), folder, earlier)
        part = folder / f"{role}-{number}.part"
        part.write_bytes(pickle.dumps(shown))
        part.rename(folder / f"{role}-{number}.pickle")


def write_source(program: Program, folder: Path) -> None:
    """Write a program's module, once."""
    path = folder / f"{program.module}.py"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}")
        part.write_text(program.source)
        part.rename(path)


def _train_candidate(program: Program, seed: int, place: int, folder: Path, earlier: Any) -> tuple[Any, Any]:
    from tests.oracle.candidate import TrialState, train_pieces
    from tests.oracle.schedules import make_schedule

    schedule = make_schedule(seed, program)
    states = {piece.trial.number: TrialState() for piece in schedule}
    before = folder / f"candidate-0-{program.number}.pickle"
    if place and before.exists():
        states = pickle.loads(before.read_bytes())
    pieces = [piece for piece in schedule if piece.place == place]
    if pieces:
        earlier = train_pieces(program, pieces, states, folder / "trials", earlier)
    return states, earlier


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), [int(n) for n in sys.argv[4].split(",")], *sys.argv[5:])
