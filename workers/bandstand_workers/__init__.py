"""Bandstand's workers: everything that touches Keras, TensorFlow or Ray.

    from bandstand_workers import LR_SCHEDULES, RandomRestarts, WarmRestarts

The names below are all that users need, in the builders and callbacks of their studies. They bring Keras, so each is
imported when it is first asked for: `import bandstand_workers` alone brings nothing. Without Keras, asking for one
raises `MissingExtraError`, which names the extra to install.

`python -m bandstand_workers` is the process that runs studies: it starts or joins a Ray cluster, keeps a fleet of
trainers, and runs each study under a coordinator.

    running      the order of things: fleet, check, coordinator, the next study
    coordinator  one per study: feeds Search with what trainers report, stores, answers; knows no Keras
    fleet        starts trainers, replaces dead ones; knows resources, no decisions
    training     builds, restores and trains one trial; knows no Ray
    programs     an epoch as one compiled program, kept and used again
    dispatch     takes a server's submissions to the Ray cluster
    tune         the same studies under Ray Tune

`models` and `datasets` hold the builders and loaders that the built-in studies name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandstand_workers.learning_rates import (
        LR_SCHEDULES,
        CycleSchedule,
        RandomRestarts,
        TableSchedule,
        WarmRestarts,
    )

__all__ = ["LR_SCHEDULES", "CycleSchedule", "RandomRestarts", "TableSchedule", "WarmRestarts"]


def __getattr__(name: str) -> Any:
    """Import on demand: processes that never train a model start without Keras."""
    if name not in __all__:
        raise AttributeError(f"module 'bandstand_workers' has no attribute {name!r}")
    from importlib import import_module

    from bandstand.extras import require

    require("workers", f"bandstand_workers.{name}", ["keras"])
    return getattr(import_module("bandstand_workers.learning_rates"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
