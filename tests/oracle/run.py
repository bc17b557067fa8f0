"""A run of the oracle: processes that train, and what became of each program.

Knows processes and files. Must not know how a program is trained.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.oracle.comparison import Failure, compare
from tests.oracle.programs import Program, make_program
from tests.oracle.results import Result
from tests.oracle.schedules import Piece, make_schedule

__all__ = ["Verdict", "judge", "judge_programs"]

_ROOT = Path(__file__).parents[2]
_ROLES = (("reference",), ("candidate-0", "candidate-1"))
"""Those that may train at the same time, and of each the processes that follow one another."""
_XLA = (
    "--xla_cpu_multi_thread_eigen=false",
    "--xla_backend_optimization_level=0",  # of small programs that run for a second, compiling is most of the time
    "--xla_llvm_disable_expensive_passes=true",
)
_PROGRAM_SECONDS = 300
"""A program that takes longer hangs."""


@dataclass
class Verdict:
    """What became of a program."""

    program: Program
    failures: list[tuple[int, Failure]] = field(default_factory=list)  # by trial
    told: int = 0  # trials that differ, of which Bandstand said what their checkpoints could not hold
    rounding: int = 0  # trials that differ, as plain Keras does from plain Keras begun one rounding beside
    invalid: str = ""  # why plain Keras does not train it
    compiled: int = 0  # trials that a compiled program trained

    @property
    def differs(self) -> bool:
        """Whether trials have other numbers than plain Keras."""
        return any(failure.kind != "raises" for _, failure in self.failures)

    @property
    def fate(self) -> str:
        """In a word or two."""
        if self.invalid:
            return "invalid"
        if self.failures:
            return self.failures[0][1].kind
        if self.rounding:
            return "at the mercy of rounding"
        return "told to differ" if self.told else "same"


def judge_programs(
    seed: int,
    numbers: Sequence[int],
    backend: str,
    *,
    processes: int = 2,
    at_once: int = 25,
    folder: Path | None = None,
    breaks: str = "",
) -> Iterator[Verdict]:
    """Train programs both ways, and compare.

    Args:
        seed: of the run.
        numbers: of the programs.
        backend: tensorflow or jax.
        processes: that train at the same time.
        at_once: programs to a process.
        folder: where what is trained is kept; a temporary one if None.
        breaks: as `process.main`.

    Yields:
        A verdict for each program, in their order.
    """
    chunks = [numbers[first : first + at_once] for first in range(0, len(numbers), at_once)]
    with _folder(folder) as place, ThreadPoolExecutor(processes) as pool:

        def train(roles: Sequence[str], chunk: Sequence[int]) -> None:
            for role in roles:
                _train(role, place, seed, chunk, backend, breaks)

        halves = [[pool.submit(train, roles, chunk) for roles in _ROLES] for chunk in chunks]
        for chunk, both in zip(chunks, halves, strict=True):
            for half in both:
                half.result()
            verdicts = [_judge(place, seed, number, backend) for number in chunk]
            doubtful = [verdict.program.number for verdict in verdicts if verdict.differs]
            if doubtful:
                _train("shaken", place, seed, doubtful, backend, breaks)
            yield from (
                _judge(place, seed, verdict.program.number, backend) if verdict.differs else verdict
                for verdict in verdicts
            )


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="oracle-") as place:
        yield Path(place)


def _train(role: str, folder: Path, seed: int, numbers: Sequence[int], backend: str, breaks: str) -> None:
    """Have a process train the programs; where it dies of one, another goes on after that."""
    left = list(numbers)
    while left:
        command = [sys.executable, "-m", "tests.oracle.process", role, str(folder), str(seed), ",".join(map(str, left))]
        log = folder / f"{role}-{left[0]}.log"
        with log.open("w") as output:
            try:
                subprocess.run(
                    [*command, breaks],
                    env=_environment(backend, folder),
                    cwd=_ROOT,
                    stdout=output,
                    stderr=output,
                    timeout=_PROGRAM_SECONDS * (1 + len(left) / 5),
                    check=False,
                )
            except subprocess.TimeoutExpired:
                pass
        done = [number for number in left if (folder / f"{role}-{number}.pickle").exists()]
        left = left[len(done) + 1 :] if len(done) < len(left) else []


def _environment(backend: str, folder: Path) -> dict[str, str]:
    """One thread to a process: there are several, and sums in one order differ less.

    What JAX compiles is kept in the folder: trials, and whole programs, have most of their operations in common.
    """
    settings = {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "XLA_FLAGS": " ".join(_XLA),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.02",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return os.environ | settings


def _judge(folder: Path, seed: int, number: int, backend: str) -> Verdict:
    program = make_program(seed, number, backend)
    expected = _read(folder / f"reference-{number}.pickle")
    states = _read(folder / f"candidate-1-{number}.pickle")
    if expected is None:
        return Verdict(program, invalid="the reference process died or hung")
    got = None if states is None else {trial: state.result for trial, state in states.items()}
    return judge(program, make_schedule(seed, program), expected, got, _read(folder / f"shaken-{number}.pickle"))


def judge(
    program: Program,
    schedule: Sequence[Piece],
    expected: Sequence[Result],
    got: Mapping[int, Result] | None,
    shaken: Sequence[Result] | None = None,
) -> Verdict:
    """Hold a program's trials against plain Keras.

    Args:
        program: what was trained.
        schedule: by which the trials were.
        expected: the results of plain Keras, of each point.
        got: those of each trial; None where the process died.
        shaken: the results of plain Keras from weights one rounding beside, where they are known. A point for which
            these differ as well shows nothing: Adam makes a whole step of a gradient that is nothing but rounding.
    """
    verdict = Verdict(program)
    for trial in sorted({piece.trial for piece in schedule}, key=lambda trial: trial.number):
        theirs = expected[trial.point]
        if theirs.error:
            verdict.invalid = theirs.error
            continue
        if got is None:
            verdict.failures.append((trial.number, Failure("raises", "the process", "trains", "it died or hung")))
            continue
        ours = got[trial.number]
        verdict.compiled += ours.is_compiled
        failure = compare(program, theirs, ours)
        if failure is None:
            continue
        if failure.kind == "raises":
            verdict.failures.append((trial.number, failure))
        elif ours.unkept:
            verdict.told += 1
        elif shaken is not None and compare(program, theirs, dataclasses.replace(shaken[trial.point], score=None)):
            verdict.rounding += 1
        else:
            verdict.failures.append((trial.number, failure))
    return verdict


def _read(path: Path) -> Any:
    return pickle.loads(path.read_bytes()) if path.exists() else None
