"""Strategies: the policies inside Search, one file each, chosen by name in a study.

A *sampler* proposes params, a *pruner* decides how long a trial runs, and `SampleAndPrune` makes a *strategy* of any
two. A *policy* is a whole strategy of its own, such as population-based training. All of them are functions of the
study's history: told every event, holding nothing that cannot be rebuilt from those events, drawing from generators
seeded by (study seed, trial number, purpose). None of them knows a clock, a worker, a database, Ray or Keras. So the
same code decides in production, in a simulation and in a unit test.

To add one: a file with a class that fulfils the contract in `strategy.py`, a line in a registry below. What others must
know of it, as the report and the live view do, its class says (`facts.py`); no list of names stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bandstand.problem.problem import Problem
from bandstand.strategies.facts import PolicyFacts, StrategyFacts
from bandstand.strategies.failures.avoidance import avoidance_for
from bandstand.strategies.policies.bohb import BOHB
from bandstand.strategies.policies.lr_restarts import LearningRateRestarts
from bandstand.strategies.policies.pb2 import PopulationBasedBandits
from bandstand.strategies.policies.pbt import PopulationBasedTraining
from bandstand.strategies.policies.replay import Replay
from bandstand.strategies.policies.tune_populations import TunePB2, TunePBT
from bandstand.strategies.pruners.asha import ASHAPruner
from bandstand.strategies.pruners.asha_promote import PromotingASHAPruner
from bandstand.strategies.pruners.hyperband import HyperbandPruner
from bandstand.strategies.pruners.median import MedianPruner
from bandstand.strategies.pruners.no_pruning import NoPruner
from bandstand.strategies.pruners.patience import PatiencePruner
from bandstand.strategies.pruners.percentile import PercentilePruner
from bandstand.strategies.pruners.successive_halving import SuccessiveHalvingPruner
from bandstand.strategies.pruners.threshold import ThresholdPruner
from bandstand.strategies.sample_and_prune import SampleAndPrune
from bandstand.strategies.samplers.cmaes import CMAESSampler
from bandstand.strategies.samplers.coordinate import CoordinateSampler
from bandstand.strategies.samplers.evolution import EvolutionSampler
from bandstand.strategies.samplers.grid import GridSampler
from bandstand.strategies.samplers.qmc import QMCSampler
from bandstand.strategies.samplers.random_search import RandomSampler
from bandstand.strategies.samplers.surrogate_models import ExtraTreesSampler, ForestSampler, GBRTSampler, GPSampler
from bandstand.strategies.samplers.tpe import TPESampler
from bandstand.strategies.samplers.umda import UMDASampler
from bandstand.strategies.samplers.zoom import ZoomSampler
from bandstand.strategies.strategy import Policy, Pruner, Sampler, Strategy

__all__ = [
    "PRUNERS",
    "SAMPLERS",
    "STRATEGIES",
    "Policy",
    "Pruner",
    "Sampler",
    "Strategy",
    "StrategyFacts",
    "facts_of",
    "make_strategy",
    "strategy_name",
]

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


def make_strategy(spec: Problem) -> Strategy:
    """The strategy that a study names."""
    if spec.sampler in STRATEGIES:
        return STRATEGIES[spec.sampler].make(spec)
    pruner = PRUNERS[spec.pruner].make(spec)
    sampler = SAMPLERS[spec.sampler]
    # A grid visits each of its points, also those that are likely to fail.
    avoidance = avoidance_for(spec) if sampler.points(spec) is None else None
    return SampleAndPrune(sampler.make(spec, pruner.ask_epochs()), pruner, avoidance)


def strategy_name(sampler: str, pruner: str, plus: str = " + ") -> str:
    """Sampler and pruner in one phrase, such as `tpe + asha`; one word where one does it all.

    Args:
        sampler: or the whole strategy.
        pruner: empty where the strategy is a whole one.
        plus: what stands between the two.
    """
    return sampler if pruner in ("", "none") else f"{sampler}{plus}{pruner}"


def facts_of(spec: Problem) -> StrategyFacts:
    """What others must know of the strategy that a study names, as its class says it."""
    if spec.sampler in STRATEGIES:
        policy = STRATEGIES[spec.sampler]
        return StrategyFacts(
            draws_at_random_first=policy.draws_at_random_first(spec),
            points=policy.points(spec),
            reduction_factor=policy.reduction_factor(spec),
            has_members=policy.has_members,
            inherits_best=policy.inherits_best(spec),
        )
    sampler = SAMPLERS[spec.sampler]
    return StrategyFacts(
        draws_at_random_first=sampler.draws_at_random_first(spec),
        points=sampler.points(spec),
        reduction_factor=PRUNERS[spec.pruner].reduction_factor(spec),
        has_members=PolicyFacts.has_members,
        inherits_best=PolicyFacts.inherits_best(spec),
    )
