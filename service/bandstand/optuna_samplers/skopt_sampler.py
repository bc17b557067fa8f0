"""`SkoptSampler`: Bayesian optimization by scikit-optimize, as a sampler of Optuna."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from bandstand.optuna_samplers.box import Box, Conditions, Floats
from bandstand.optuna_samplers.integrated_gp import propose_by_integrated_gp
from bandstand.optuna_samplers.one_thread import one_thread
from bandstand.optuna_samplers.surrogates import MODELS, Observed, propose_by_optimizer
from bandstand.optuna_samplers.visited import Visited

__all__ = ["ACQUISITIONS", "SkoptSampler"]

ACQUISITIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gp": ("EI", "PI", "LCB", "EIps", "gp_hedge"),
        "forest": ("EI", "PI", "LCB", "EIps"),
        "extra_trees": ("EI", "PI", "LCB", "EIps"),
        "gbrt": ("EI", "PI", "LCB", "EIps"),
    }
)
"""What may be maximized with each model."""

_LARGEST = 1e100
"""Of a value as the model sees it, so that squares stay finite."""


class SkoptSampler(BaseSampler):
    """Proposes where a model of the objective expects most.

    At each proposal the model is fitted to the study's trials; like Optuna's own samplers it keeps nothing but a random
    generator, so that studies may be resumed, and any number of processes may share one.

    * Complete trials count with their value, pruned ones without any value as the worst seen, other pruned and
      failed ones not at all: their values are of other steps. Running trials count with a value made up for them, the
      mean of what was seen ("constant liar": Ginsbourger, Le Riche and Carraro, 2010), so that proposals differ.
    * Conditional parameters: see `Box`. Without `conditions` every parameter is modelled as if it always existed where
      a candidate is judged; the params a trial gets are right in any case, since it asks for what it needs.
    * No point is proposed twice while others are left, with or without `conditions`; see `Visited`.

    Args:
        model: gp, forest, extra_trees or gbrt.
        space: every parameter there may be; None: those that the study's finished trials had.
        conditions: for a parameter that does not always exist, the (name, choice) pairs that must all hold.
        acquisition: EI, PI, LCB, EIps (EI per second), or gp_hedge (gp only: one of the first
            three, drawn by their recent merits).
        startup_trials: trials with a value, or pruned, before the model is used; random until then.
        xi: EI, PI: by how many standard deviations of the values a point must be better to count.
        kappa: LCB: standard deviations below the mean.
        hyperparameter_draws: gp with EI, PI or LCB: average over so many draws of the kernel's hyperparameters; 0:
            use the most likely ones.
        restarts: gp: further starts of the search for the most likely hyperparameters.
        fit_trials: trials that the model is fitted to at most, the best half and then the latest.
        candidates: points at which the acquisition is computed first.
        trees: of a forest, or stages of boosting; None: as scikit-optimize has it, 100 or 30.
        seconds_of: EIps: what a trial took; None: as long as it lasted by the clock.
        visited: points not to be proposed again, in the box of `space` and `conditions`; None: those of the study's
            trials.
        seed: of the generator; None: a random one.

    Raises:
        ValueError: a name is unknown, or two settings do not go together.
    """

    def __init__(
        self,
        model: str = "gp",
        *,
        space: Mapping[str, BaseDistribution] | None = None,
        conditions: Conditions | None = None,
        acquisition: str = "EI",
        startup_trials: int = 10,
        xi: float = 0.01,
        kappa: float = 1.96,
        hyperparameter_draws: int = 0,
        restarts: int = 2,
        fit_trials: int = 100,
        candidates: int = 1000,
        trees: int | None = None,
        seconds_of: Callable[[FrozenTrial], float | None] | None = None,
        visited: Visited | None = None,
        seed: int | None = None,
    ):
        _check_settings(model, acquisition, hyperparameter_draws)
        self._model = model
        self._space = space
        self._conditions = conditions or {}
        self._acquisition = acquisition
        self._startup_trials = startup_trials
        self._xi, self._kappa = xi, kappa
        self._draws = hyperparameter_draws
        self._restarts = restarts
        self._fit_trials = fit_trials
        self._candidates = candidates
        self._trees = trees
        self._seconds_of = seconds_of or _lasted
        self._visited = visited
        self._rng = np.random.default_rng(seed)
        self._independent = optuna.samplers.RandomSampler(seed)

    def reseed_rng(self) -> None:
        """As Optuna asks for, where workers share a copy."""
        self._rng = np.random.default_rng()
        self._independent.reseed_rng()

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The given space, or all parameters of finished trials, but for those whose range changed."""
        if self._space is not None:
            return dict(self._space)
        space: dict[str, BaseDistribution] = {}
        changed: set[str] = set()
        for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
            for name, distribution in other.distributions.items():
                if space.setdefault(name, distribution) != distribution:
                    changed.add(name)
        return {name: distribution for name, distribution in space.items() if name not in changed}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A point of the space, without what is inactive under the choices made."""
        _check_single_objective(study)
        box = Box(search_space, self._conditions)
        if not box.names:
            return {}
        others = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        visited = self._visited
        if visited is None:
            visited = Visited((other.params for other in others), box)
        observed = self._observed(box, study, others)
        if observed is None:
            return visited.new_point(self._rng)
        with one_thread():
            return self._propose(box, observed, visited)

    def _propose(self, box: Box, observed: Observed, visited: Visited) -> dict[str, Any]:
        if self._draws:
            return propose_by_integrated_gp(
                box, observed, visited, draws=self._draws, acquisition=self._acquisition, xi=self._xi,
                kappa=self._kappa, candidates=self._candidates, rng=self._rng,
            )  # fmt: skip
        return propose_by_optimizer(
            box, observed, visited, model=self._model, acquisition=self._acquisition, xi=self._xi, kappa=self._kappa,
            candidates=self._candidates, restarts=self._restarts, trees=self._trees, rng=self._rng,
        )  # fmt: skip

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value, for a parameter that no finished trial had."""
        _check_single_objective(study)
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def _observed(self, box: Box, study: optuna.Study, trials: Sequence[FrozenTrial]) -> Observed | None:
        """What the model is fitted to; None while there is too little."""
        sign = 1.0 if study.direction == optuna.study.StudyDirection.MINIMIZE else -1.0
        told: list[tuple[FrozenTrial, float]] = []
        running = []
        for trial in trials:
            if trial.state is TrialState.COMPLETE:
                told.append((trial, sign * trial.values[0]))
            elif trial.state is TrialState.PRUNED and not trial.intermediate_values:
                told.append((trial, math.nan))
            elif trial.state is TrialState.RUNNING:
                running.append(trial)
        if len(told) < self._startup_trials:
            return None
        told = _most_telling(told, self._fit_trials)
        running = running[-max(self._fit_trials // 2, 1) :]
        rows, values, seconds = [], [], []
        for trial, value in told:
            units = box.units(trial.params)
            if units is not None:
                rows.append(units)
                values.append(value)
                seconds.append(self._seconds_of(trial))
        if np.isfinite(values).sum() < 2:
            return None
        lies = [units for trial in running if trial.params and (units := box.units(trial.params)) is not None]
        return Observed(
            units=np.array([*rows, *lies]),
            values=_standardized(np.array(values), len(lies)),
            seconds=_filled(seconds, len(lies)),
            running=len(lies),
        )


def _most_telling(told: list[tuple[FrozenTrial, float]], limit: int) -> list[tuple[FrozenTrial, float]]:
    """At most `limit` trials in their order: the best half of that number, then the latest of the others."""
    if len(told) <= limit:
        return told
    ranks = sorted(range(len(told)), key=lambda index: (math.isnan(told[index][1]), told[index][1]))
    kept = set(ranks[: (limit + 1) // 2])
    latest = (index for index in reversed(range(len(told))) if index not in kept)
    kept.update(index for index, _ in zip(latest, range(limit - len(kept)), strict=False))
    return [pair for index, pair in enumerate(told) if index in kept]


def _standardized(values: Floats, lies: int) -> Floats:
    """Values with mean 0 and standard deviation 1, NaN replaced by the worst, and the mean for each lie."""
    filled = np.where(np.isfinite(values), values, values[np.isfinite(values)].max())
    filled = np.clip(filled, -_LARGEST, _LARGEST)
    spread = float(filled.std())
    standard = (filled - filled.mean()) / (spread if spread > 0 else 1.0)
    return np.concatenate([standard, np.zeros(lies)])


def _filled(seconds: list[float | None], lies: int) -> Floats:
    """Seconds of each, the geometric mean of the known ones where they are not known; 1 if none is."""
    known = [given if given is not None and given > 0 else math.nan for given in [*seconds, *([None] * lies)]]
    logarithms = np.log(known)
    usual = float(np.nanmean(logarithms)) if np.isfinite(logarithms).any() else 0.0
    return np.exp(np.where(np.isnan(logarithms), usual, logarithms))


def _lasted(trial: FrozenTrial) -> float | None:
    return None if trial.duration is None else trial.duration.total_seconds()


def _check_settings(model: str, acquisition: str, draws: int) -> None:
    """Refuse settings of a sampler that are unknown or do not go together.

    Raises:
        ValueError: some are.
    """
    _check("model", model, MODELS)
    _check(f"acquisition of model {model}", acquisition, ACQUISITIONS[model])
    if draws and (model != "gp" or acquisition not in ("EI", "PI", "LCB")):
        raise ValueError(
            "hyperparameter_draws needs model gp with acquisition EI, PI or LCB; "
            f"got {model} with {acquisition}: set it to 0"
        )


def _check(what: str, given: str, allowed: Sequence[str]) -> None:
    if given not in allowed:
        raise ValueError(f"{what} must be one of {', '.join(allowed)}; got {given!r}")


def _check_single_objective(study: optuna.Study) -> None:
    if len(study.directions) > 1:
        raise ValueError(
            f"a study must have one objective for SkoptSampler; got {len(study.directions)}; use NSGAIISampler"
        )
