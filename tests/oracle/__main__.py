"""The oracle's command line: `python -m tests.oracle --backend jax --programs 500`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.oracle.programs import SEED, make_program
from tests.oracle.report import feature_table, line_for, summary
from tests.oracle.run import Verdict, judge_programs


def main() -> int:
    """Run it; 1 where a program fails or too many are invalid."""
    options = _options()
    numbers = options.only or list(range(options.first, options.first + options.programs))
    if options.show:
        for number in numbers:
            program = make_program(options.seed, number, options.backend)
            print(program.source, *(f"# {point}" for point in program.points), sep="\n")
    began = time.monotonic()
    verdicts = []
    for verdict in judge_programs(
        options.seed,
        numbers,
        options.backend,
        processes=options.processes,
        at_once=options.at_once,
        folder=options.folder,
        breaks=options.breaks,
    ):
        verdicts.append(verdict)
        line = line_for(verdict, options.seed, options.backend)
        if line:
            print(line, flush=True)
        if options.show:
            _print_failures(verdict)
    if len(verdicts) > 1:
        print("feature, programs, of these failed", feature_table(verdicts), sep="\n")
    trials = sum(verdict.compiled for verdict in verdicts)
    print(f"{summary(verdicts)}; {trials} trials by compiled programs; {time.monotonic() - began:.0f} s")
    invalid = sum(bool(verdict.invalid) for verdict in verdicts)
    return int(any(verdict.failures for verdict in verdicts) or invalid > max(1, 0.05 * len(verdicts)))


def _print_failures(verdict: Verdict) -> None:
    if verdict.invalid:
        print(verdict.invalid)
    for trial, failure in verdict.failures:
        print(f"trial {trial}: {failure.kind}: {failure.where}\n  {failure.expected}\n  {failure.got}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--programs", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="number of the first program")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=2, help="that train at the same time")
    parser.add_argument("--at-once", type=int, default=25, help="programs to a process")
    parser.add_argument("--only", type=int, nargs="+", help="only the programs of these numbers")
    parser.add_argument("--show", action="store_true", help="print each program's source and all that differs")
    parser.add_argument("--folder", type=Path, help="keep what is trained in this folder")
    parser.add_argument("--breaks", default="", help="module:function that breaks Bandstand on purpose")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
