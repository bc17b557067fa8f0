"""Samplers for Optuna that Optuna does not have: scikit-optimize's models, usable in any Optuna study.

    skopt_sampler.py   what Optuna asks for: which trials are learned from, what is proposed
    box.py             a space, conditional or not, as columns in [0, 1], and back
    visited.py         the points that trials have, and new ones as long as any are left
    surrogates.py      one proposal by scikit-optimize's Optimizer
    integrated_gp.py   one proposal by a Gaussian process whose hyperparameters are integrated out

Knows Optuna and scikit-optimize, and is therefore imported only once such a sampler is made. Must not know studies of
ours, nor rungs: `service/bandstand/strategies/samplers/` decides what the trials of the Optuna study are.
"""

from bandstand.optuna_samplers.box import Box
from bandstand.optuna_samplers.skopt_sampler import SkoptSampler
from bandstand.optuna_samplers.visited import Visited

__all__ = ["Box", "SkoptSampler", "Visited"]
