"""`make bench`, or `python -m tests.benchmarks [NAME …] [--repeats N]`."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Callable, Mapping

from tests.benchmarks import overhead, store

BENCHMARKS: Mapping[str, Callable[[int], None]] = {
    "overhead": overhead.main,
    "store": store.main,
}


def main() -> None:
    """Run the named benchmarks, all if none is named, in a home of their own."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{platform.platform(terse=True)}, Python {platform.python_version()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="bandstand-bench-") as home:
        os.environ["BANDSTAND_HOME"] = home
        os.environ.pop("BANDSTAND_DATABASE_URL", None)
        for name in arguments.names or BENCHMARKS:
            BENCHMARKS[name](arguments.repeats)


if __name__ == "__main__":
    main()
