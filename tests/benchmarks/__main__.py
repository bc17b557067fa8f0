"""`make bench` and `make bench-peers`, or `python -m tests.benchmarks [NAME …] [--peers] [--repeats N] [--write]`."""

from __future__ import annotations

import argparse
import functools
import shlex
import signal
import sys
from collections.abc import Callable, Mapping

from tests.benchmarks import failures, interventions, report_page, server, strategies
from tests.benchmarks.measuring.results import PAGE, Section, machine_in_words, write_section
from tests.benchmarks.scale import many_workers, ray_nodes, reading, soak
from tests.benchmarks.scheduling import coordinator, decision_cost, decisions, job_logins, simulation, store
from tests.benchmarks.training import asha, fixed_work, gpu, memory, overhead, startup

BENCHMARKS: Mapping[str, Callable[[int, bool], Section]] = {
    "overhead": overhead.main,
    "digits": functools.partial(fixed_work.main, "digits"),
    "california": functools.partial(fixed_work.main, "california"),
    "mnist_mlp": functools.partial(fixed_work.main, "mnist_mlp"),
    "mnist_lenet": functools.partial(fixed_work.main, "mnist_lenet"),
    "asha": asha.main,
    "smoke": functools.partial(fixed_work.main, "smoke"),
    "store": store.main,
    "job_logins": job_logins.main,
    "coordinator": coordinator.main,
    "decision_cost": decision_cost.main,
    "decisions": decisions.main,
    "simulate": simulation.main,
    "strategies": strategies.main,
    "failures": failures.main,
    "startup": startup.main,
    "memory": memory.main,
    "report": report_page.main,
    "server": server.main,
    "scale": reading.main,
    "workers": many_workers.main,
    "nodes": ray_nodes.main,
    "soak": soak.main,
    "gpu": gpu.main,
    "interventions": interventions.main,
}
"""Name -> benchmark, given the number of repeats and whether peers take part. `smoke` shows that all of them run."""

_QUICK = ("overhead", "digits")
_ALL = tuple(name for name in BENCHMARKS if name not in ("smoke", "gpu", "interventions", "soak"))


def main() -> None:
    """Run the named benchmarks and print a table for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--peers", action="store_true", help="Optuna, Ray Tune and KerasTuner too; installs them")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"put the tables into tests/benchmarks/{PAGE.name}")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"NAME must be one of {', '.join(BENCHMARKS)}; got {', '.join(unknown)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended, as after Ctrl-C
    command = shlex.join(["python", "-m", "tests.benchmarks", *sys.argv[1:]])
    for name in arguments.names or (_ALL if arguments.peers else _QUICK):
        machine = machine_in_words()
        print(f"\n{machine}")
        section = BENCHMARKS[name](arguments.repeats, arguments.peers)
        print("\n".join(section.lines) or "  nothing to compare with", flush=True)
        if arguments.write and section.lines:
            write_section(name, section, machine=machine, command=command, repeats=arguments.repeats, page=PAGE)


if __name__ == "__main__":
    main()
