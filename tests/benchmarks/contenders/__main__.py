"""`python -m tests.benchmarks.contenders NAME WORKLOAD FILE`: one run of one contender; FILE receives what it did."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from pathlib import Path

from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.measuring.workloads import WORKLOADS


def main() -> None:
    """Run it."""
    name, workload, file = sys.argv[1:]
    contender = importlib.import_module(f"tests.benchmarks.contenders.{CONTENDERS[name].module}")
    trained = contender.run(WORKLOADS[workload])
    Path(file).write_text(json.dumps(dataclasses.asdict(trained)))


if __name__ == "__main__":
    main()
