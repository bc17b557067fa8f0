"""Canaries for what scikit-optimize and scikit-learn are used for otherwise than they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import skopt
from sklearn.base import is_regressor
from skopt import Optimizer
from skopt.learning import GradientBoostingQuantileRegressor

from bandstand.optuna_samplers.internals import CandidateSpace, TaggedAsRegressor, draw_from
from bandstand.optuna_samplers.tree_models import tree_model

CORNER = np.array([[0.25, 0.75], [0.5, 0.5], [0.125, 0.875]])


@pytest.mark.parametrize("model", ["RF", "GP"])
def test_an_optimizer_proposes_nothing_but_points_of_the_space_that_it_was_given(model: str) -> None:
    asked_for: list[int] = []

    def draw(count: int, rng: np.random.Generator) -> Any:
        asked_for.append(count)
        return CORNER[rng.integers(len(CORNER), size=count)]

    optimizer = Optimizer(
        [(0.0, 1.0)], model, n_initial_points=1, acq_optimizer="sampling", random_state=0, avoid_duplicates=False,
        acq_optimizer_kwargs={"n_points": 50},
    )  # fmt: skip
    draw_from(optimizer, CandidateSpace(2, draw))
    optimizer.tell([[0.1, 0.1], [0.9, 0.9], [0.4, 0.6]], [1.0, 2.0, 0.5])
    proposed = [optimizer.ask() for _ in range(3)]
    assert asked_for and max(asked_for) == 50, (
        f"scikit-optimize {skopt.__version__} no longer asks its attribute space for candidates by rvs: see where "
        "Optimizer._tell draws them, and have draw_from put our space there"
    )
    assert all(point in CORNER.tolist() for point in proposed), f"{proposed} are points of another space"


def test_boosted_trees_are_a_regressor_to_scikit_learn_by_our_tags() -> None:
    assert is_regressor(tree_model("gbrt", 3, 0, per_second=False))
    assert is_regressor(type("Own", (TaggedAsRegressor, GradientBoostingQuantileRegressor), {})())
