"""Contenders: tuners, and none, that each do a workload's trainings.

A contender is a module with `run(workload) -> Trained`. Each run is a process of its own (`python -m
tests.benchmarks.contenders NAME WORKLOAD FILE`), so that none leaves anything behind for the next. Time is taken from
the moment when every process has TensorFlow and the data until the last training ends: imports, starting processes and
loading are nobody's merit. Processes that share the machine get the same number of threads each.

What is written here by hand does not clear Keras's session between trainings, which costs a quarter of a second each
time; tuners that do so themselves (Bandstand, KerasTuner) pay for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["CONTENDERS", "Contender", "Trained"]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a contender did, and how long it took."""

    seconds: float  # from all processes ready to the last training's end
    trainings: int
    epochs: int  # of all trainings together
    best_value: float  # of the workload's metric, over all epochs
    whole_seconds: float | None = None  # with what comes before and after the trainings, where that is known


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Who takes part."""

    module: str
    title: str
    is_peer: bool = False  # needs the peers' environment


CONTENDERS: Mapping[str, Contender] = MappingProxyType(
    {
        "bandstand": Contender(module="bandstand_study", title="Bandstand"),
        "bandstand_fit": Contender(module="bandstand_fit", title="Bandstand, trained by fit"),
        "bare": Contender(module="bare_fit", title="bare fit"),
        "traced_loop": Contender(module="traced_loop", title="traced loop, no tuner"),
        "optuna": Contender(module="optuna_study", title="Optuna", is_peer=True),
        "ray_tune": Contender(module="ray_tune", title="Ray Tune", is_peer=True),
        "kerastuner": Contender(module="kerastuner", title="KerasTuner (1 process)", is_peer=True),
    }
)
