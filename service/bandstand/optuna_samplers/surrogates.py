"""One proposal by scikit-optimize's `Optimizer`: a model is fitted to what was observed, an acquisition maximized.

The Optimizer is made anew each time and told everything at once. It sees a plain box in [0, 1] (see `box`), so that its
own handling of steps, logarithms and categories, which loses precision at the bounds, is not needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
from skopt import Optimizer
from skopt.acquisition import gaussian_ei, gaussian_lcb, gaussian_pi

from bandstand.optuna_samplers.box import Box, Floats
from bandstand.optuna_samplers.gaussian_process import gaussian_process
from bandstand.optuna_samplers.internals import CandidateSpace, draw_from
from bandstand.optuna_samplers.tree_models import tree_model
from bandstand.optuna_samplers.visited import Visited

__all__ = [
    "MODELS",
    "Observed",
    "acquisition_options",
    "best_unvisited",
    "candidate_space",
    "gain",
    "propose_by_optimizer",
]

MODELS = ("gp", "forest", "extra_trees", "gbrt")
"""What may be fitted; scikit-optimize calls them GP, RF, ET and GBRT."""
HEDGE_STEPS = 4
"""Latest observations told to `gp_hedge` one by one; each costs a fit."""
_INCUMBENTS = 5


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What a model is fitted to. Rows are observations, the oldest first, those still running last."""

    units: Floats
    """As `Box.units`."""
    values: Floats
    """To be minimized, with mean 0 and standard deviation 1; a lie for those still running."""
    seconds: Floats
    """What each took, above 0."""
    running: int
    """How many of the last rows are lies."""


def propose_by_optimizer(
    box: Box,
    observed: Observed,
    visited: Visited,
    *,
    model: str,
    acquisition: str,
    xi: float,
    kappa: float,
    candidates: int,
    restarts: int,
    trees: int | None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """The point with the best acquisition, or where a trial has been there, the best of random unvisited ones."""
    optimizer = Optimizer(
        [(0.0, 1.0)],  # Its own space, which it makes anew each time, is not used.
        _regressor(model, box, restarts, trees, _seed(rng), per_second=acquisition == "EIps"),
        n_initial_points=1,
        acq_func=acquisition,
        acq_func_kwargs=acquisition_options(xi, kappa),
        # For EIps the Optimizer takes any model for one with gradients.
        acq_optimizer="lbfgs" if model == "gp" else "sampling",
        acq_optimizer_kwargs={"n_points": candidates},
        random_state=_seed(rng),
        avoid_duplicates=False,  # It looks for another point in the columns; we, among the params.
    )
    draw_from(optimizer, candidate_space(box, observed))
    # scikit-learn would check the same parameters again for each tree.
    with warnings.catch_warnings(), sklearn.config_context(skip_parameter_validation=True):
        warnings.simplefilter("ignore")  # Kernel parameters at their bounds, points near each other: for developers.
        for first, last in _batches(observed, acquisition):
            optimizer.tell(box.columns(observed.units[first:last]).tolist(), _told(observed, acquisition, first, last))
        params = box.params(box.units_at(np.asarray(optimizer.ask())))
        if params not in visited:
            return params
        fitted, best = optimizer.models[-1], float(np.min(optimizer.yi))
        return best_unvisited(
            box, visited, rng, lambda columns: gain(columns, fitted, acquisition, best, xi=xi, kappa=kappa)
        )


def best_unvisited(
    box: Box, visited: Visited, rng: np.random.Generator, score: Any, count: int = 100
) -> dict[str, Any]:
    """Of random points where no trial has been, the one with the highest score; any point if none is left."""
    points = [visited.new_point(rng)]
    drawn = (box.params(units) for units in rng.random((count, len(box.names))))
    points += [point for point in drawn if point not in visited]
    units = [box.units(point) for point in points]
    scores = score(box.columns(np.array(units)))
    return points[int(np.argmax(scores))]


def gain(
    columns: Floats, model: Any, acquisition: str, best: float, *, xi: float, kappa: float, return_grad: bool = False
) -> Any:
    """What a proposal maximizes, of rows of columns; with its gradient if asked, but for EIps. For gp_hedge it is EI.

    Args:
        columns: where.
        model: a fitted one; for EIps one of values and one of logarithms of seconds, as the Optimizer has them.
        acquisition: EI, PI, LCB, EIps or gp_hedge.
        best: the least of the values that the model was fitted to.
        xi: EI, EIps, PI: the least improvement that counts.
        kappa: LCB: standard deviations below the mean.
        return_grad: whether to return a pair.
    """
    if acquisition == "LCB":
        answer = gaussian_lcb(columns, model, kappa, return_grad)
        return (-answer[0], -answer[1]) if return_grad else -answer
    if acquisition == "PI":
        return gaussian_pi(columns, model, best, xi, return_grad)
    if acquisition == "EIps":
        of_values, of_seconds = model.estimators_
        mean, deviation = of_seconds.predict(columns, return_std=True)
        return gaussian_ei(columns, of_values, best, xi) * np.exp(deviation**2 / 2 - mean)
    return gaussian_ei(columns, model, best, xi, return_grad)


def candidate_space(box: Box, observed: Observed) -> Any:
    """A scikit-optimize space whose random points are half anywhere, half near the best that were observed."""
    known = len(observed.values) - observed.running
    incumbents = observed.units[np.argsort(observed.values[:known], kind="stable")[:_INCUMBENTS]]
    return CandidateSpace(box.width, lambda count, rng: box.columns(box.candidates(count, incumbents, rng)))


def acquisition_options(xi: float, kappa: float) -> dict[str, float]:
    """As scikit-optimize names them."""
    return {"xi": xi, "kappa": kappa}


def _batches(observed: Observed, acquisition: str) -> Sequence[tuple[int, int]]:
    """From which row to which the Optimizer is told at once: it fits after each batch.

    GP-Hedge (Hoffman et al., UAI 2011) credits each acquisition with what the next model thinks of the point it wanted.
    A stateless sampler can play that through for the latest observations only.
    """
    count = len(observed.values)
    if acquisition != "gp_hedge":
        return [(0, count)]
    known = count - observed.running
    first = max(known - HEDGE_STEPS, min(known, 2))
    ends = [*range(first, known), count]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _told(observed: Observed, acquisition: str, first: int, last: int) -> list[Any]:
    values = observed.values[first:last]
    if acquisition != "EIps":
        return list(values.tolist())
    # The Optimizer takes the smallest of all numbers, values and logarithms of seconds alike, for the best value. The
    # models do not mind where zero is, so the values are moved below the logarithms.
    lowest = min(float(np.log(observed.seconds).min()), 0.0)
    moved = values - observed.values.max() + lowest - 1
    return [list(pair) for pair in zip(moved.tolist(), observed.seconds[first:last].tolist(), strict=True)]


def _regressor(model: str, box: Box, restarts: int, trees: int | None, seed: int, *, per_second: bool) -> Any:
    if model == "gp":
        return gaussian_process(box.width, restarts, seed)
    return tree_model(model, trees, seed, per_second=per_second)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31 - 1))
