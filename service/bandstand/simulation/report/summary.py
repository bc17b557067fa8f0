"""A comparison of strategies in numbers and sentences, for the terminal, the page and programs alike.

Knows medians and words. Must not know how they are drawn.
"""

from __future__ import annotations

from itertools import pairwise
from math import isfinite, nan
from statistics import median
from typing import Any, NamedTuple

from bandstand.report.text import and_list, counted, duration, measured, number
from bandstand.simulation.comparison import Comparison, SimulatedStrategy
from bandstand.strategies import make_strategy
from bandstand.trials.events import FINAL_STATES, TrialState

__all__ = [
    "RUNGS_CAPTION",
    "Cells",
    "Row",
    "RungReached",
    "answer_from",
    "ask_epochs_of",
    "json_from",
    "make_rows",
    "result_table",
    "rung_table",
    "rungs_of",
    "settings_sentence",
    "work_table",
]


class Row(NamedTuple):
    """One strategy: medians over its simulated studies."""

    label: str
    best: float  # measured at any epoch of any trial; NaN if most studies have none
    worst_best: float  # of the studies
    best_best: float
    chosen: float  # of the trial that a study chose
    firsts: float  # repeats in which no other strategy had a better value; equal ones share
    trials: float
    complete: float
    pruned: float
    failed: float
    failed_epochs: float  # of trials that ran out of memory, diverged or were too slow
    epochs: float
    seconds: float
    idle_share: float
    wasted_share: float
    decision_microseconds: float


def make_rows(comparison: Comparison) -> list[Row]:
    """A row for each strategy, in the order in which they were named."""
    firsts = _firsts(comparison)
    return [_row(entry, firsts[entry.label], comparison.spec.objective.sign) for entry in comparison.entries]


def _row(entry: SimulatedStrategy, firsts: float, sign: float) -> Row:
    results = entry.results
    # A study without any value is worse than all others.
    losses = sorted(sign * o.best_value if isfinite(o.best_value) else float("inf") for o in results)
    chosen = [o.chosen_value for o in results if isfinite(o.chosen_value)]
    decisions = sum(o.decisions for o in results)
    return Row(
        label=entry.label,
        best=sign * median(losses),
        worst_best=sign * losses[-1],
        best_best=sign * losses[0],
        chosen=median(chosen) if chosen else nan,
        firsts=firsts,
        trials=median(o.trials for o in results),
        complete=median(o.states.get(TrialState.COMPLETE, 0) for o in results),
        pruned=median(o.states.get(TrialState.PRUNED, 0) for o in results),
        failed=median(o.states.get(TrialState.FAILED, 0) for o in results),
        failed_epochs=median(o.failed_epochs for o in results),
        epochs=median(o.epochs for o in results),
        seconds=median(o.seconds for o in results),
        idle_share=median(o.idle_share for o in results),
        wasted_share=median(o.wasted_seconds / o.worker_seconds if o.worker_seconds else 0.0 for o in results),
        decision_microseconds=1e6 * sum(o.decision_seconds for o in results) / decisions if decisions else 0.0,
    )


def _firsts(comparison: Comparison) -> dict[str, float]:
    sign = comparison.spec.objective.sign
    firsts = dict.fromkeys((entry.label for entry in comparison.entries), 0.0)
    for repeat in range(comparison.repeats):
        losses = {entry.label: sign * entry.results[repeat].best_value for entry in comparison.entries}
        finite = [loss for loss in losses.values() if isfinite(loss)]
        winners = [label for label, loss in losses.items() if finite and loss == min(finite)]
        for label in winners:
            firsts[label] += 1 / len(winners)
    return firsts


Cells = tuple[tuple[str, ...], list[tuple[str, ...]]]


def result_table(comparison: Comparison) -> Cells:
    """Header and rows as text: what each strategy reached. The first column names the strategy."""
    several = comparison.repeats > 1
    header = ["strategy", comparison.spec.objective.metric]
    header += ["worst to best", "best in"] if several else []
    rows = []
    for row in make_rows(comparison):
        cells = [row.label, measured(row.best)]
        if several:
            cells += [f"{measured(row.worst_best)} – {measured(row.best_best)}"]
            cells += [f"{number(row.firsts, 2)} of {comparison.repeats}"]
        rows.append((*cells, duration(row.seconds)))
    return (*header, "time"), rows


def work_table(comparison: Comparison) -> Cells:
    """Header and rows as text: what trials and workers did. Work that a death made void has a column if there was any.

    The cost of a decision is real time, the rest virtual; medians over the repeats.
    """
    found = make_rows(comparison)
    dying = any(row.wasted_share for row in found)
    header = ["strategy", "epochs", "trials", *map(str, FINAL_STATES), "idle", *["void"] * dying, "decision"]
    rows = []
    for row in found:
        cells = [row.label]
        cells += [number(count) for count in (row.epochs, row.trials, row.complete, row.pruned, row.failed)]
        cells += [f"{row.idle_share:.1%}"]
        cells += [f"{row.wasted_share:.1%}"] if dying else []
        rows.append((*cells, f"{row.decision_microseconds:,.0f} µs"))
    return tuple(header), rows


def ask_epochs_of(entry: SimulatedStrategy) -> tuple[int, ...]:
    """The epochs at which a strategy judges its trials, the last one completing them."""
    return make_strategy(entry.spec).ask_epochs()


RUNGS_CAPTION = (
    "The strategy judges trials at certain epochs. The table shows how many trials of the median study reached each "
    "of them. The percentage is the share of all epochs that was spent since the previous one. A trial that continues "
    "from another trial's checkpoint counts only in the epochs after that checkpoint."
)
"""What the numbers of `rungs_of` are, for readers."""


class RungReached(NamedTuple):
    """How far a strategy's trials got: one epoch at which it judges them; medians over its studies."""

    epoch: int
    trials: float  # that trained it
    share: float  # of all epochs, spent on the way there from the rung before


def rungs_of(entry: SimulatedStrategy) -> list[RungReached]:
    """What each rung of a strategy saw, the first one first."""
    epochs = ask_epochs_of(entry)
    return [
        RungReached(
            epoch=epoch,
            trials=median(o.reached(epoch) for o in entry.results),
            share=median(o.epochs_between(before, epoch) / max(1, o.epochs) for o in entry.results),
        )
        for before, epoch in pairwise((0, *epochs))
    ]


def rung_table(comparison: Comparison) -> Cells:
    """Header and rows as text: what `RUNGS_CAPTION` says. A strategy that does not judge at an epoch has a dash."""
    found = {entry.label: {rung.epoch: rung for rung in rungs_of(entry)} for entry in comparison.entries}
    epochs = sorted({epoch for rungs in found.values() for epoch in rungs})
    rows = []
    for name, rungs in found.items():
        cells = [
            f"{number(rungs[epoch].trials)} ({rungs[epoch].share:.0%})" if epoch in rungs else "–" for epoch in epochs
        ]
        rows.append((name, *cells))
    return ("strategy", *(f"epoch {epoch}" for epoch in epochs)), rows


def settings_sentence(comparison: Comparison) -> str:
    """What was simulated, in one sentence."""
    spec, cluster = comparison.spec, comparison.cluster
    parts = [
        f"{counted(cluster.workers, 'virtual worker')}",
        f"a budget of {spec.budget}",
        f"at most {counted(spec.max_epochs, 'epoch')} a trial",
        f"{comparison.curves} curves",
        f"{counted(comparison.repeats, 'study', 'studies')} of each strategy (seeds from {spec.seed})",
    ]
    if tuple(cluster.speeds) != (1.0,):
        parts.append(f"speeds {', '.join(number(speed) for speed in cluster.speeds)} in turn")
    if any(cluster.start_seconds):
        parts.append(f"start-up of {', '.join(number(seconds) for seconds in cluster.start_seconds)} s in turn")
    if cluster.straggling:
        parts.append(f"stragglers with σ = {number(cluster.straggling)}")
    if cluster.deaths_per_hour:
        parts.append(f"{number(cluster.deaths_per_hour)} deaths of each worker per hour")
    objective = comparison.spec.objective
    return f"Simulated with {and_list(parts)}. The objective is {objective.metric} ({objective.better})."


def answer_from(comparison: Comparison) -> str:
    """Which strategy did best, as far as so few studies can say."""
    rows = make_rows(comparison)
    metric = comparison.spec.objective.metric
    usable = [row for row in rows if isfinite(row.best)]
    if not usable:
        return "No strategy reached a value."
    first = min(usable, key=lambda row: comparison.spec.objective.sign * row.best)
    if len(rows) == 1:
        spread = (
            f", {measured(first.worst_best)} at worst and {measured(first.best_best)} at best"
            if comparison.repeats > 1
            else ""
        )
        return (
            f"{first.label} reaches a {metric} of {measured(first.best)} (median{spread}) after "
            f"{duration(first.seconds)}. Its workers are idle for {first.idle_share:.1%} of the time."
        )
    others = and_list([f"{row.label} {measured(row.best)}" for row in rows if row is not first])
    clear = first.firsts > 0.8 * comparison.repeats and comparison.repeats >= 5
    return (
        f"{first.label} has the best median {metric}: {measured(first.best)} (others: {others}). It was the best in "
        f"{number(first.firsts, 2)} of {counted(comparison.repeats, 'repeat')}."
        f"{'' if clear else ' This is too few to call it better; increase --repeats to find out.'}"
    )


def json_from(comparison: Comparison) -> dict[str, Any]:
    """The comparison for programs. Values that are not finite are null."""
    rungs = {entry.label: [rung._asdict() for rung in rungs_of(entry)] for entry in comparison.entries}
    return {
        "curves": comparison.curves,
        "workers": comparison.cluster.workers,
        "budget": comparison.spec.budget.model_dump(exclude_none=True),
        "max_epochs": comparison.spec.max_epochs,
        "repeats": comparison.repeats,
        "notes": list(comparison.notes),
        "rungs": RUNGS_CAPTION,
        "strategies": [
            {key: None if isinstance(value, float) and not isfinite(value) else value for key, value in row.items()}
            | {"rungs": rungs[row["label"]]}
            for row in (row._asdict() for row in make_rows(comparison))
        ],
    }
