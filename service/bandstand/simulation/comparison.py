"""Simulates strategies side by side, each several times.

Knows which seeds make a comparison fair. Must not know how results are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bandstand.report.text import and_list, counted
from bandstand.simulation.cluster import VirtualCluster
from bandstand.simulation.learning_curves.curves import CurveSource
from bandstand.simulation.loop import simulate
from bandstand.simulation.simulation_result import SimulationResult
from bandstand.strategies import make_strategy
from bandstand.study.strategy_choices import WITHOUT, StrategyChoice
from bandstand.study.study_spec import StudySpec

__all__ = ["Comparison", "SimulatedStrategy", "compare"]


@dataclass(frozen=True, kw_only=True)
class SimulatedStrategy:
    """One strategy's simulated studies, one for each seed."""

    label: str
    spec: StudySpec
    """With the first seed."""
    results: tuple[SimulationResult, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Strategies on the same problems."""

    spec: StudySpec
    curves: str
    cluster: VirtualCluster
    entries: tuple[SimulatedStrategy, ...]
    notes: tuple[str, ...] = ()

    @property
    def repeats(self) -> int:
        """Simulated studies of each strategy."""
        return len(self.entries[0].results)


def compare(
    spec: StudySpec,
    source: CurveSource,
    cluster: VirtualCluster,
    strategies: Sequence[StrategyChoice],
    *,
    repeats: int,
    notes: Sequence[str] = (),
    stopwatch: Callable[[], float] = lambda: 0.0,
    note_progress: Callable[[str, int], None] = lambda label, repeat: None,
) -> Comparison:
    """Simulate each strategy `repeats` times.

    Repeat r has the study's seed + r, and with it a landscape, a search and the luck of the workers; all strategies
    of a repeat meet the same.

    Raises:
        InputError: a strategy cannot work on this study.
    """
    lined_up = [(choice, choice.apply(spec)) for choice in strategies]  # refuses all before any is run
    found: list[list[SimulationResult]] = [[] for _ in lined_up]
    for repeat in range(repeats):
        seed = spec.seed + repeat
        curves = source.curves(spec.space, spec.objective, spec.max_epochs, seed)
        luck = replace(cluster, seed=cluster.seed + seed)
        for results, (choice, mine) in zip(found, lined_up, strict=True):
            note_progress(choice.label, repeat)
            results.append(simulate(mine.model_copy(update={"seed": seed}), curves, luck, stopwatch=stopwatch))
    entries = tuple(
        SimulatedStrategy(label=choice.label, spec=mine, results=tuple(results))
        for (choice, mine), results in zip(lined_up, found, strict=True)
    )
    told = (*notes, *_notes_on(entries, recorded=source.setting is not None))
    return Comparison(spec=spec, curves=source.name, cluster=cluster, entries=entries, notes=told)


def _notes_on(entries: Sequence[SimulatedStrategy], *, recorded: bool) -> list[str]:
    """What is to be said of strategies, and of what the curves can say of them."""
    return [
        *(f"{entry.label}: {notice}" for entry in entries for notice in make_strategy(entry.spec).notices()),
        *(_notes_on_changes(entries) if recorded else []),
        *_notes_on_divergence(entries, recorded),
        *_notes_on_avoiding(entries),
    ]


def _notes_on_divergence(entries: Sequence[SimulatedStrategy], recorded: bool) -> list[str]:
    """Why trials failed although no worker died under them, where some did."""
    results = [result for entry in entries for result in entry.results]
    diverged = sum(result.reasons.get("failed (diverged)", 0) for result in results)
    if not diverged:
        return []
    trials = counted(sum(result.trials for result in results), "trial")
    why = "as the recorded trainings did" if recorded else "as made-up curves do if the learning rate is too high"
    return [f"{diverged:,} of {trials} diverged, {why}. Option --failures does not cause this."]


def _notes_on_avoiding(entries: Sequence[SimulatedStrategy]) -> list[str]:
    """What learning from failures has saved, for each strategy that was simulated with it and without."""
    found, notes = {entry.label: entry for entry in entries}, []
    for entry in entries:
        without = found.get(f"{entry.label}{WITHOUT}")
        if without is None:
            continue
        mine, others = (sum(result.failed_epochs for result in each.results) for each in (entry, without))
        if others:
            notes.append(
                f"{entry.label}: trials that failed took {counted(mine, 'epoch')} in all studies, and "
                f"{counted(others, 'epoch')} without avoid_failures, so {1 - mine / others:.0%} of them were saved."
            )
    return notes


def _notes_on_changes(entries: Sequence[SimulatedStrategy]) -> list[str]:
    """What recorded curves cannot say of strategies that change params in the course of a training."""
    notes = []
    changing = [entry.label for entry in entries if any(result.children for result in entry.results)]
    if changing:
        notes.append(
            f"{and_list(changing)}: recorded curves do not contain changes of params during training. A trial that "
            "continues from another trial's checkpoint gets the later epochs of its own params' curve, as if it had "
            "trained with these params from the start. This flatters the strategy, so its results are not comparable."
        )
    scheduled = [entry.label for entry in entries if any(result.scheduled for result in entry.results)]
    if scheduled:
        notes.append(
            f"{and_list(scheduled)}: recorded curves use the learning rate of their params. They do not contain the "
            "rates that the strategy sets within a cycle."
        )
    return notes
