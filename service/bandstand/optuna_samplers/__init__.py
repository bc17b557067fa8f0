"""Samplers for Optuna that Optuna does not have: scikit-optimize's models, usable in any Optuna study.

    skopt_sampler.py   what Optuna asks for: which trials are learned from, what is proposed
    box.py             a space, conditional or not, as columns in [0, 1], and back
    visited.py         the points that trials have, and new ones as long as any are left
    surrogates.py      one proposal by scikit-optimize's Optimizer
    integrated_gp.py   one proposal by a Gaussian process whose hyperparameters are integrated out
    one_thread.py      linear algebra on one thread
    internals.py       what scikit-optimize and scikit-learn do not mean to be used so

Knows Optuna and scikit-optimize, whose import takes two seconds: each name below is therefore imported when it is first
asked for. Must not know studies of ours, nor rungs: `service/bandstand/strategies/samplers/` decides what the trials of
the Optuna study are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandstand.optuna_samplers.box import Box
    from bandstand.optuna_samplers.skopt_sampler import SkoptSampler
    from bandstand.optuna_samplers.visited import Visited

__all__ = ["Box", "SkoptSampler", "Visited"]

_HOMES = {"Box": "box", "SkoptSampler": "skopt_sampler", "Visited": "visited"}


def __getattr__(name: str) -> Any:
    """Import on demand: whoever only needs `one_thread` does not wait for scikit-optimize."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
