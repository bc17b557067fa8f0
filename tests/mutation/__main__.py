"""`python -m tests.mutation`: changes the decisions of the core, and says which changes no test notices.

Knows which modules are changed and by which tests. Must not know how.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import random
import re
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutation.mutants import list_mutants
from tests.mutation.plugin import Mutating

TARGETS = ("bandstand.search", "bandstand.strategies.pruners")
TESTS = (
    "tests/service/search",
    "tests/service/strategies/pruners",
    "tests/service/strategies/policies",
    "tests/service/simulation/test_simulation_loop.py",
    "tests/workers/coordinator/test_checkpoint_sweep.py",
)
EXPLAINED = Path(__file__).with_name("README.md")


def modules_of(package: str) -> list[ModuleType]:
    """The modules of a package, itself included."""
    root = importlib.import_module(package)
    return [root, *(importlib.import_module(one.name) for one in pkgutil.iter_modules(root.__path__, f"{package}."))]


def main() -> int:
    """Run it; the exit code is 1 if a change survives that the README does not explain."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--only", help="modules whose names contain this")
    parser.add_argument("--again", type=Path, help="what an earlier run printed: only the changes that survived it")
    parser.add_argument("--sample", type=int, help="so many changes, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0, help="of tests for a change (default 20)")
    parser.add_argument("--tests", nargs="*", default=TESTS)
    arguments = parser.parse_args()
    modules = [module for target in TARGETS for module in modules_of(target)]
    mutants = [
        mutant
        for module in modules
        if not arguments.only or arguments.only in module.__name__
        for mutant in list_mutants(module)
    ]
    if arguments.again:
        survived = set(re.findall(r"^(?:SURVIVES|explained) line \d+ (.+)$", arguments.again.read_text(), re.MULTILINE))
        mutants = [mutant for mutant in mutants if mutant.name in survived]
    if arguments.sample:
        mutants = random.Random(arguments.seed).sample(mutants, min(arguments.sample, len(mutants)))
    print(f"{time.strftime('%H:%M:%S')} {len(mutants)} changes", flush=True)
    mutating = Mutating(mutants, arguments.seconds)
    options = ["-q", "-x", "-s", "-m", "not slow", "-p", "no:cacheprovider", "--no-header", "--no-summary"]
    pytest.main([*options, *arguments.tests], plugins=[mutating])
    return tell(mutating)


def tell(mutating: Mutating) -> int:
    """Print the result; the exit code."""
    explained = EXPLAINED.read_text() if EXPLAINED.exists() else ""
    tried = mutating.killed + len(mutating.survivors)
    print(
        f"{mutating.killed} of {tried} changes are noticed ({mutating.killed / max(1, tried):.1%}); "
        f"{len(mutating.untested)} are in functions that no test enters, {mutating.impossible} could not be made"
    )
    unexplained = 0
    for mutant in [*mutating.survivors, *mutating.untested]:
        known = f"`{mutant.was} -> {mutant.becomes}`" in explained
        unexplained += not known
        print(f"{'explained' if known else 'SURVIVES'} line {mutant.line} {mutant.name}")
    return int(unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
