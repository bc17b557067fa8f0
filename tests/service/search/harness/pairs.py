"""Which samplers and pruners are tried together, and options with which a small study gets past a sampler's start.

The fast suite has every sampler with a pruner that promotes, those that fit no costly model also with one that stops,
every pruner with random search, and every policy; the other pairs are slow. A sampler and a pruner do not know each
other, so that what is wrong with one of them shows in the fast suite, and the rest guards against what nobody has
thought of.
"""

import pytest

from bandstand.strategies import PRUNERS, SAMPLERS, STRATEGIES
from bandstand.strategies.pruners.asha import ASHAOptions

__all__ = ["PAIRS", "SHORT_STARTS", "default_options", "replay_options", "settings_for"]

_WITH_EVERY_SAMPLER = ("asha", "asha-promote")
_COSTLY = ("gp", "forest", "extra_trees", "gbrt")
_WITH_EVERY_PRUNER = "random"


def _pair(sampler, pruner):
    with_it = _WITH_EVERY_SAMPLER[1:] if sampler in _COSTLY else _WITH_EVERY_SAMPLER
    is_fast = pruner in with_it or sampler == _WITH_EVERY_PRUNER
    return pytest.param(sampler, pruner, marks=[] if is_fast else pytest.mark.slow)


PAIRS = [
    *(_pair(sampler, pruner) for sampler in SAMPLERS for pruner in PRUNERS),
    *(pytest.param(policy, "", id=policy) for policy in STRATEGIES),
]
"""(sampler, pruner); a policy takes the sampler's place and has no pruner."""

SHORT_STARTS = {
    "bohb": {"startup_trials": 3},
    "tpe": {"startup_trials": 3},
    "gp": {"startup_trials": 15, "fit_trials": 4, "candidates": 10, "restarts": 0},
    "forest": {"startup_trials": 8, "fit_trials": 8, "candidates": 20, "trees": 2},
    "extra_trees": {"startup_trials": 8, "fit_trials": 8, "candidates": 20, "trees": 2},
    "gbrt": {"random_fraction": 0.3, "startup_trials": 8, "fit_trials": 8, "candidates": 20, "trees": 2},
    "zoom": {"round_trials": 3},
    "coordinate": {"startup_trials": 2},
    "cmaes": {"population": 4},
    "evolution": {"population": 4},
}


def default_options(pruner):
    """Options of a pruner as a user's study has them who says nothing; what else is tested here starts at epoch 1."""
    return {"min_epochs": ASHAOptions().min_epochs} if pruner in ("asha", "asha-promote", "successive-halving") else {}


def replay_options(max_epochs):
    """A schedule of two or three segments."""
    first, second = {"rate": 0.25, "optimizer": "adam"}, {"rate": 0.5, "optimizer": "adam"}
    segments = [{"params": first, "epochs": max(1, max_epochs // 2)}]
    if max_epochs > 1:
        segments.append({"params": second, "epochs": 1, "learning_rates": [0.125]})
    if max_epochs > 3:
        segments.append({"params": first, "epochs": 1})
    return {"segments": segments}


def settings_for(sampler, pruner, seed=7):
    """Changes to the usual spec for a study of 70 epochs."""
    policies = {
        "pbt": {"population": 5, "interval": 2},
        "pb2": {"population": 5, "interval": 2},
        "tune-pbt": {"population": 5, "interval": 2},
        "tune-pb2": {"population": 5, "interval": 2},
        "lr-restarts": {"parameter": "rate", "cycle_epochs": 2},
        "replay": replay_options(9),
    }
    options = (SHORT_STARTS | policies).get(sampler, {})
    space = {"rate": {"type": "float", "low": 0.05, "high": 1.0}, "units": {"type": "int", "low": 1, "high": 9}}
    return ({"space": space} if sampler == "lr-restarts" else {}) | {
        "sampler": sampler,
        "sampler_options": options,
        "pruner": pruner,
        "pruner_options": default_options(pruner),
        "budget": {"epochs": 70},
        "seed": seed,
    }
