"""A study of 10,000 trials with 30 epochs each, beside 200 small ones: what it takes to look at it and to resume it.

Each figure is of a process of its own, for the large study and for a small one: what the large one takes beyond the
small one is what grows. Seconds are by the clock, and of the processor, which a busy machine stretches less; memory is
the most that the process held. `BENCH_BEFORE` may name a checkout of another version, which then reads the same
database in turn with this one. *Resume* is from the claim of a study to the next assignment.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from bandstand.store.store import Store
from tests.benchmarks.measuring.cells import run_cell
from tests.benchmarks.measuring.results import Section
from tests.benchmarks.scale.made_studies import made_spec, make_study

__all__ = ["Cost", "main"]

TRIALS, EPOCHS, OTHERS = 10_000, 30, 200
_HERE = Path(__file__).parents[3]
_RESUME = """
import functools, sys
from bandstand.search.search import Search
from bandstand.store.store import Store
store = Store.open()
spec = store.spec(sys.argv[1])
writer = store.claim(spec, "a benchmark")
restore = functools.partial(Search.restore, spec)
search = writer.replay(restore) if hasattr(writer, "replay") else restore(writer.events())
writer.catch_up_mirror(search.history)
for trial in search.history.trials:
    search.lost(trial.number, trial.attempt, "a benchmark", blamed=False)
assert search.next() is not None
writer.close()
"""
_DASHBOARD = """
import sys
import optuna_dashboard
from bandstand.store.optuna_mirror import open_storage
from bandstand.store.store import Store
url = Store.open().database.url
storage = open_storage(url)
application = optuna_dashboard.wsgi(storage)
path = f"/api/studies/{storage.get_study_id_from_name(sys.argv[1])}"
environment = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "wsgi.input": sys.stdin.buffer}
environment |= {"SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http", "HTTP_ACCEPT_ENCODING": "identity"}
said = []
for piece in application(environment, lambda status, headers, error=None: said.append(status)):
    pass
assert said[0].startswith("200"), said
"""
_COMMAND = ("-P", "-m", "bandstand")
_LOOKS: Mapping[str, Callable[[str, Path], list[str]]] = {
    "show": lambda study, folder: [*_COMMAND, "show", study],
    "best": lambda study, folder: [*_COMMAND, "best", study],
    "export": lambda study, folder: [*_COMMAND, "export", study, "-o", str(folder / "trials.csv")],
    "report": lambda study, folder: [*_COMMAND, "report", "--local", study, "-o", str(folder / "report.html")],
    "resume": lambda study, folder: ["-c", _RESUME, study],
    "Optuna Dashboard": lambda study, folder: ["-c", _DASHBOARD, study],
}


class Cost(NamedTuple):
    """What a process took."""

    seconds: float
    processor_seconds: float
    megabytes: float


def main(repeats: int, peers: bool) -> Section:
    """A row for each look and version."""
    found = run_cell(measure, repeats, TRIALS, EPOCHS, OTHERS, timeout_seconds=7200)
    columns = [
        "look",
        "version",
        "small: s",
        "CPU s",
        "MB",
        "large: s",
        "CPU s",
        "MB",
        "beyond a small one: CPU s",
        "MB",
    ]
    lines = [f"| {' | '.join(columns)} |", "| --- " * len(columns) + "|"]
    for name, version, small, large in found:
        small, large = Cost(*small), Cost(*large)
        beyond = [large.processor_seconds - small.processor_seconds, large.megabytes - small.megabytes]
        cells = [*(f"{value:.1f}" for value in (*small[:2],)), f"{small.megabytes:.0f}"]
        cells += [*(f"{value:.1f}" for value in (*large[:2],)), f"{large.megabytes:.0f}"]
        cells += [f"{beyond[0]:.1f}", f"{beyond[1]:.0f}"]
        lines.append(f"| {name} | {version} | {' | '.join(cells)} |")
    title = f"Looking at {TRIALS:,} trials of {EPOCHS} epochs, beside {OTHERS} studies"
    return Section(title=title, lines=lines)


def measure(repeats: int, trials: int, epochs: int, others: int) -> list[tuple[str, str, Cost, Cost]]:
    """The costs of every look, the median of the repeats, for the small study and the large one."""
    store = Store.open()
    names = []
    for name, count, length in (("small", 20, 9), ("large", trials, epochs)):
        make_study(store, made_spec(name, trials=count, epochs=length))
        make_study(store, made_spec(f"{name}-open", trials=2 * count, epochs=length), until_trials=count)
        names.append(name)
    for number in range(others):
        make_study(store, made_spec(f"other-{number}", trials=20, epochs=9, seed=number))
    store.close()
    trees = {"this": _HERE}
    if os.environ.get("BENCH_BEFORE"):
        trees = {"before": Path(os.environ["BENCH_BEFORE"]), **trees}
    results = []
    for look, command in _LOOKS.items():
        costs: dict[tuple[str, str], list[Cost]] = {}
        for _ in range(repeats):
            for version, tree in trees.items():
                for name in names:
                    costs.setdefault((version, name), []).append(
                        _cost_of(
                            command(f"{name}-open" if look == "resume" else name, Path(tempfile.gettempdir())), tree
                        )
                    )
        for version in trees:
            results.append((look, version, *(_median(costs[version, name]) for name in names)))
    return results


def _median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))


def _cost_of(arguments: list[str], tree: Path) -> Cost:
    path = os.pathsep.join(str(tree / part) for part in ("service", "workers", "search_spaces"))
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.DEVNULL, cwd=tree
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)
