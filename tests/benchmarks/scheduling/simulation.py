"""Simulated epochs a second, on one core: random sampling and ASHA on made-up curves, 64 virtual workers.

The space is that of the study digits_mlp; ASHA has its default first rung, with trials of at most 81 epochs. *In the
search*: the share of the time that Search took for its decisions; the rest is the loop and the curves. Aim: 20,000
epochs a second of the process's own time, so that what else the machine does counts little.
"""

from __future__ import annotations

import statistics
import time

from bandstand.simulation import VirtualCluster, open_source, simulate
from bandstand.study.find_study import find_study
from bandstand.study.study_spec import StudySpec, study_spec_from
from tests.benchmarks.measuring.results import Section

__all__ = ["main"]

AIM = 20_000
EPOCHS = 50_000
WORKERS = 64
STRATEGIES: tuple[tuple[str, str, dict[str, int]], ...] = (
    ("random", "asha", {}),
    ("random", "asha", {"min_epochs": 1}),
    ("random", "none", {}),
)


def main(repeats: int, peers: bool) -> Section:
    """Print and return epochs a second of each strategy."""
    lines = ["| strategy | epochs a second | least | most | in the search | aim | reached |", "| --- " * 7 + "|"]
    for sampler, pruner, options in STRATEGIES:
        runs = [_rate(sampler, pruner, options) for _ in range(repeats)]
        rates = [rate for rate, _ in runs]
        median = statistics.median(rates)
        name = f"{sampler} + {pruner}" + "".join(f", {key} {value}" for key, value in options.items())
        lines.append(
            f"| {name} | {median:,.0f} | {min(rates):,.0f} | {max(rates):,.0f} | "
            f"{statistics.median(share for _, share in runs):.0%} | {AIM:,} | {'yes' if median >= AIM else 'no'} |"
        )
    return Section(title="Simulated epochs a second", lines=lines)


def _rate(sampler: str, pruner: str, options: dict[str, int]) -> tuple[float, float]:
    spec = _spec(sampler, pruner, options)
    curves = open_source("analytic").curves(spec.space, spec.objective, spec.max_epochs, 1)
    began = time.process_time()
    simulate(spec, curves, VirtualCluster(workers=WORKERS))
    seconds = time.process_time() - began
    watched = time.process_time()
    outcome = simulate(spec, curves, VirtualCluster(workers=WORKERS), stopwatch=time.process_time)
    return EPOCHS / seconds, outcome.decision_seconds / (time.process_time() - watched)


def _spec(sampler: str, pruner: str, options: dict[str, int]) -> StudySpec:
    changes = {
        "sampler": sampler,
        "sampler_options": {},
        "pruner": pruner,
        "pruner_options": options,
        "max_epochs": 81,
        "budget": {"epochs": EPOCHS},
    }
    return study_spec_from(find_study("digits_mlp").spec.model_dump() | changes, "benchmark")
