"""Strategies: the policies inside Search, one file each, chosen by name in a study.

A *sampler* proposes params, a *pruner* decides how long a trial runs, and `SampleAndPrune` makes a *strategy* of any
two. A *policy* is a whole strategy of its own, such as population-based training. All of them are functions of the
study's history: told every event, holding nothing that cannot be rebuilt from those events, drawing from generators
seeded by (study seed, trial number, purpose). None of them knows a clock, a worker, a database, Ray or Keras. So the
same code decides in production, in a simulation and in a unit test.

To add one: a file with a class that fulfils the contract in `strategy.py`, a line in a registry below.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from service.strategies.policies.bohb import BOHB
from service.strategies.policies.lr_restarts import LearningRateRestarts
from service.strategies.policies.pb2 import PopulationBasedBandits
from service.strategies.policies.pbt import PopulationBasedTraining
from service.strategies.policies.replay import Replay
from service.strategies.policies.tune_populations import TunePB2, TunePBT
from service.strategies.pruners.asha import ASHAPruner
from service.strategies.pruners.asha_promote import PromotingASHAPruner
from service.strategies.pruners.hyperband import HyperbandPruner
from service.strategies.pruners.median import MedianPruner
from service.strategies.pruners.no_pruning import NoPruner
from service.strategies.pruners.patience import PatiencePruner
from service.strategies.pruners.percentile import PercentilePruner
from service.strategies.pruners.successive_halving import SuccessiveHalvingPruner
from service.strategies.pruners.threshold import ThresholdPruner
from service.strategies.sample_and_prune import SampleAndPrune
from service.strategies.samplers.cmaes import CMAESSampler
from service.strategies.samplers.coordinate import CoordinateSampler
from service.strategies.samplers.evolution import EvolutionSampler
from service.strategies.samplers.grid import GridSampler
from service.strategies.samplers.qmc import QMCSampler
from service.strategies.samplers.random_search import RandomSampler
from service.strategies.samplers.surrogate_models import ExtraTreesSampler, ForestSampler, GBRTSampler, GPSampler
from service.strategies.samplers.tpe import TPESampler
from service.strategies.samplers.umda import UMDASampler
from service.strategies.samplers.zoom import ZoomSampler
from service.strategies.strategy import Policy, Pruner, Sampler, Strategy

if TYPE_CHECKING:
    from service.study import StudySpec

__all__ = ["PRUNERS", "SAMPLERS", "STRATEGIES", "Policy", "Pruner", "Sampler", "Strategy", "make_strategy"]

SAMPLERS: Mapping[str, type[Sampler]] = MappingProxyType(
    {
        "grid": GridSampler,
        "random": RandomSampler,
        "qmc": QMCSampler,
        "zoom": ZoomSampler,
        "coordinate": CoordinateSampler,
        "tpe": TPESampler,
        "gp": GPSampler,
        "forest": ForestSampler,
        "extra_trees": ExtraTreesSampler,
        "gbrt": GBRTSampler,
        "cmaes": CMAESSampler,
        "evolution": EvolutionSampler,
        "umda": UMDASampler,
    }
)

PRUNERS: Mapping[str, type[Pruner]] = MappingProxyType(
    {
        "none": NoPruner,
        "median": MedianPruner,
        "percentile": PercentilePruner,
        "threshold": ThresholdPruner,
        "patience": PatiencePruner,
        "asha": ASHAPruner,
        "asha-promote": PromotingASHAPruner,
        "hyperband": HyperbandPruner,
        "successive-halving": SuccessiveHalvingPruner,
    }
)


STRATEGIES: Mapping[str, type[Policy]] = MappingProxyType(
    {
        "pbt": PopulationBasedTraining,
        "pb2": PopulationBasedBandits,
        "bohb": BOHB,
        "lr-restarts": LearningRateRestarts,
        "replay": Replay,
        "tune-pbt": TunePBT,
        "tune-pb2": TunePB2,
    }
)


def make_strategy(spec: StudySpec) -> Strategy:
    """The strategy that a study names."""
    if spec.sampler in STRATEGIES:
        return STRATEGIES[spec.sampler].make(spec)
    pruner = PRUNERS[spec.pruner].make(spec)
    return SampleAndPrune(SAMPLERS[spec.sampler].make(spec, pruner.ask_epochs()), pruner)
