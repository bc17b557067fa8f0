"""What writing Optuna's tables costs: the sole writer's storage against Optuna's own, on one server, in turns.

A trial is created, gets 3 params, 10 intermediate values and 2 user attributes, and is told; either by plain calls to
the storage, as Bandstand makes them, or by `Study.ask`, `suggest`, `report` and `tell`, which also read. Measured with
few and many trials in the study, with none and a thousand unfinished ones; with each call durable when it returns, and
in batches. Once with commits that wait for the disk, whose speed varies, and once with commits that do not, which shows
what the storages themselves cost. Aims: 20 times Optuna's speed, and at 10,000 trials the speed at 100, within 20 %.
"""

from __future__ import annotations

import itertools
import logging
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import optuna
import psycopg
from optuna.distributions import FloatDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from bandstand.optuna_storage import SoleWriterStorage
from tests.benchmarks.measuring.results import Section

SIZES = (100, 1_000, 10_000)
UNFINISHED = (0, 1_000)
BATCH = 100
"""Trials in a batch; for reports, ten times as many of them."""
STEPS = 10
COUNTS = {"optuna": 3, "each call": 10, "batches": 2 * BATCH}
"""Trials measured in a cell, by side; of reports ten times as many."""
PARAMS = {name: FloatDistribution(0.0, 1.0) for name in "xyz"}
FIGURES = ("trials by calls", "trials by ask and tell", "reports")
Speeds = dict[tuple[str, str], float]
"""(figure, side) -> how many a second."""
DISK = {"waits for the disk": "", "does not wait for the disk": "&options=-csynchronous_commit%3Doff"}
"""How a commit goes -> what the URL says for it."""


def main(repeats: int, peers: bool) -> Section:
    """Speeds, ratios to Optuna's storage with their spread, and how flat ours are. Optuna's is always there."""
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    from bandstand.store.embedded import embedded_url

    optuna.logging.set_verbosity(logging.WARNING)
    url = embedded_url()
    SoleWriterStorage.open(url).close()
    say(f"store: trials and reports a second; batches of {BATCH} trials or {BATCH * STEPS} reports")
    say(f"  a trial by calls is {STEPS + 7} calls; a commit waits {flush_seconds(url) * 1e3:.2f} ms for the disk")
    cells: dict[tuple[str, int, int], list[Speeds]] = {}
    for _, unfinished, size in itertools.product(range(repeats), UNFINISHED, SIZES):
        studies = {side: preloaded(SoleWriterStorage(url), size, unfinished) for side in COUNTS}
        for disk, options in DISK.items():
            cells.setdefault((disk, unfinished, size), []).append(measure(url + options, studies))
    for disk in DISK:
        say(f"  a commit {disk}")
        for unfinished, size in itertools.product(UNFINISHED, SIZES):
            tell_cell(say, size, unfinished, cells[disk, unfinished, size])
    for unfinished in UNFINISHED:
        tell_flatness(say, url + DISK["does not wait for the disk"], unfinished, 5 * repeats)
    tell_cold_load(say, url, repeats)
    return Section(title="Writing Optuna's tables, beside Optuna's own storage", lines=["```", *lines, "```"])


def measure(url: str, studies: Mapping[str, int]) -> Speeds:
    """All figures of one cell; `studies` has one for each side."""

    ours = SoleWriterStorage(url)
    theirs = optuna.storages.get_storage(url.replace("postgresql:", "postgresql+psycopg:"))
    sides: dict[str, tuple[BaseStorage, Callable[[], AbstractContextManager[None]], int]] = {
        "optuna": (theirs, nullcontext, 1),
        "each call": (ours, nullcontext, 1),
        "batches": (ours, ours.batch, BATCH),
    }
    speeds: Speeds = {}
    for side, (storage, grouped, together) in sides.items():
        for figure, work, times in zip(FIGURES, works(storage, studies[side]), (1, 1, STEPS), strict=True):
            speeds[figure, side] = per_second(work, COUNTS[side] * times, grouped, together * times)
    ours.close()
    theirs.remove_session()
    return speeds


def works(storage: BaseStorage, study_id: int) -> tuple[Callable[[], None], ...]:
    """What is measured, in the order of `FIGURES`; each is done once, so that caches are filled."""
    study = optuna.load_study(
        study_name=storage.get_study_name_from_id(study_id),
        storage=storage,
        sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=optuna.pruners.NopPruner(),
    )
    running = [storage.create_new_trial(study_id) for _ in range(STEPS)]
    reports = itertools.cycle(itertools.product(range(1_000), running))

    def report_next() -> None:
        step, trial_id = next(reports)
        storage.set_trial_intermediate_value(trial_id, step, 0.5)

    all_works = (lambda: add_trial(storage, study_id), lambda: ask_and_tell(study), report_next)
    for work in all_works:
        work()
    return all_works


def preloaded(storage: SoleWriterStorage, size: int, unfinished: int) -> int:
    """A study with so many finished trials, and running ones beside them."""
    study_id = storage.create_new_study([StudyDirection.MINIMIZE])
    done = [True] * size + [False] * unfinished
    for start in range(0, len(done), 1_000):
        with storage.batch():
            for finished in done[start : start + 1_000]:
                add_trial(storage, study_id, finished)
    storage.close()
    return study_id


def add_trial(storage: BaseStorage, study_id: int, finished: bool = True) -> None:
    """One trial by plain calls."""
    trial_id = storage.create_new_trial(study_id, create_trial(state=TrialState.RUNNING))
    for name, distribution in PARAMS.items():
        storage.set_trial_param(trial_id, name, 0.5, distribution)
    for step in range(STEPS):
        storage.set_trial_intermediate_value(trial_id, step, 1.0 / (1 + step))
    storage.set_trial_user_attr(trial_id, "bracket", 1)
    storage.set_trial_user_attr(trial_id, "reason", "max_epochs")
    if finished:
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.25])


def ask_and_tell(study: optuna.Study) -> None:
    """One trial by Optuna's own interface for users."""
    trial = study.ask()
    for name in PARAMS:
        trial.suggest_float(name, 0.0, 1.0)
    for step in range(STEPS):
        trial.report(1.0 / (1 + step), step)
    trial.set_user_attr("bracket", 1)
    trial.set_user_attr("reason", "max_epochs")
    study.tell(trial, 0.25)


def per_second(
    work: Callable[[], None], count: int, grouped: Callable[[], AbstractContextManager[None]], together: int
) -> float:
    """How often a second a work is done, when so many of them share a group."""
    began = time.perf_counter()
    for _ in range(count // together):
        with grouped():
            for _ in range(together):
                work()
    return count / (time.perf_counter() - began)


def flush_seconds(url: str) -> float:
    """What a commit of one row costs more than one that does not wait for the disk."""
    seconds = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE flushed (number int)")
        for waiting in ("on", "off"):
            connection.execute(f"SET synchronous_commit = {waiting}".encode())
            began = time.perf_counter()
            for _ in range(300):
                connection.execute("INSERT INTO flushed VALUES (1)")
            seconds.append((time.perf_counter() - began) / 300)
        connection.execute("DROP TABLE flushed")
    return seconds[0] - seconds[1]


def tell_cell(say: Callable[[str], None], size: int, unfinished: int, speeds: list[Speeds]) -> None:
    """One line a figure."""
    say(f"    {size} trials, {unfinished} unfinished")
    for figure in FIGURES:
        line = f"      {figure:22} "
        for side in COUNTS:
            line += f"{side} {statistics.median(speed[figure, side] for speed in speeds):.1f}/s"
            if side != "optuna":
                line += f" {spread([speed[figure, side] / speed[figure, 'optuna'] for speed in speeds])}"
            line += "; "
        say(line)


def tell_flatness(say: Callable[[str], None], url: str, unfinished: int, rounds: int) -> None:
    """Our own speed in the largest study against the smallest, in short turns, so that both meet the same noise."""
    few, many = SIZES[0], SIZES[-1]
    studies = {size: preloaded(SoleWriterStorage(url), size, unfinished) for size in (few, many)}
    storage = SoleWriterStorage(url)
    all_works = {size: works(storage, study_id) for size, study_id in studies.items()}
    times: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    for _, size in itertools.product(range(rounds), (few, many)):
        for figure, work, factor in zip(FIGURES, all_works[size], (1, 1, STEPS), strict=True):
            for side, grouped, count in (("each call", nullcontext, STEPS), ("batches", storage.batch, BATCH)):
                began, used = time.perf_counter(), time.process_time()
                per_second(work, count * factor, grouped, count * factor)
                times[f"{figure}, {side}", size].append((time.perf_counter() - began, time.process_time() - used))
    storage.close()
    say(f"  our speed at {many} trials against {few}, {unfinished} unfinished: by the clock; by processor time of ours")
    for name in dict.fromkeys(name for name, _ in times):
        pairs = zip(times[name, few], times[name, many], strict=True)
        wall, used = zip(*(((a[0] / b[0]), (a[1] / b[1])) for a, b in pairs), strict=True)
        say(f"    {name:34} {quartiles(wall)}; {quartiles(used)}")


def tell_cold_load(say: Callable[[str], None], url: str, repeats: int) -> None:
    """The first look at the largest study, in a process that knows nothing of it."""

    driver_url = url.replace("postgresql:", "postgresql+psycopg:")
    study_id = preloaded(SoleWriterStorage(url), SIZES[-1], 0)
    ratios, seconds = [], []
    for _ in range(repeats):
        times = []
        for storage in (optuna.storages.get_storage(driver_url), SoleWriterStorage(url)):
            began = time.perf_counter()
            assert len(storage.get_all_trials(study_id, deepcopy=False)) == SIZES[-1]
            times.append(time.perf_counter() - began)
            storage.remove_session()
        ratios.append(times[0] / times[1])
        seconds.append(times[1])
    say(f"  cold load of {SIZES[-1]} trials: {statistics.median(seconds):.2f} s = {spread(ratios)}")


def quartiles(ratios: Sequence[float]) -> str:
    """A ratio's median and the middle half of it, of many short measurements."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f}x (half of them {low:.2f} to {high:.2f})"


def spread(ratios: list[float]) -> str:
    """A ratio's median and range."""
    return f"{statistics.median(ratios):.3g}x ({min(ratios):.3g} to {max(ratios):.3g})"
