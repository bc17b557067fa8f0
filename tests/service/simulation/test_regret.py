"""Regret on a scale that problems share, and what is concluded from it."""

import numpy as np
import pytest

from bandstand.simulation.regret import mean_ranks, mean_regret, normalized_regret, pool_of


class ThreeSettings:
    def pool(self, size, seed):
        return np.array([[3.0, 2.0], [1.0, np.nan], [np.nan, np.nan]]), np.ones((3, 2))


def test_regret_is_0_for_the_best_of_the_pool_and_1_for_its_median():
    pool = pool_of(ThreeSettings())
    assert pool == (1.0, 2.0, 2.0)
    assert [normalized_regret(loss, pool) for loss in (1.0, 1.5, 2.0, float("nan"))] == [0.0, 0.5, 1.0, 1.0]


def test_the_interval_of_a_difference_is_as_wide_as_problems_differ():
    base = {"a": [0.5, 0.7], "b": [0.4, 0.2]}
    same = {problem: [value - 0.1 for value in values] for problem, values in base.items()}
    assert mean_regret(same, base) == pytest.approx((0.35, -0.1, -0.1, -0.1))
    mixed = mean_regret({"a": [0.3, 0.5], "b": [0.5, 0.3]}, base)
    assert mixed.difference == pytest.approx(-0.05)
    assert (mixed.low, mixed.high) == pytest.approx((-0.2, 0.1))


def test_a_rank_is_among_the_strategies_on_each_problem_whatever_the_scale():
    ranks = mean_ranks(
        {
            "steady": {"a": [0.2, 0.4], "b": [0.5, 0.5], "c": [0.1, 0.1]},
            "great once": {"a": [0.5, 0.7], "b": [-9.0, -8.0], "c": [0.2, 0.2]},
            "even": {"a": [0.3, 0.3], "b": [0.9, 0.7], "c": [0.2, 0.2]},
        }
    )
    assert ranks["steady"] == pytest.approx((1.5 / 3 + 2 / 3 + 1 / 3, 2.0))
    assert ranks["great once"] == pytest.approx((3 / 3 + 1 / 3 + 2.5 / 3, 3.0))
    assert ranks["even"] == pytest.approx((1.5 / 3 + 3 / 3 + 2.5 / 3, 3.0))
