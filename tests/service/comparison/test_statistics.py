"""Intervals, tests and speed-ups against numbers worked out by hand or by scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from bandstand.comparison.statistics import (
    average_ranks,
    holm,
    mean_interval,
    median_band,
    paired,
    repeats_needed,
    share_of_wins,
    speed_up,
)


def test_the_interval_of_a_mean_is_students():
    found = mean_interval([1.0, 2.0, 3.0, 4.0])
    half = 3.182446 * math.sqrt(5 / 3) / 2
    assert found == pytest.approx((2.5, 2.5 - half, 2.5 + half), rel=1e-6)


@pytest.mark.parametrize("values", [[0.5], []])
def test_one_value_or_none_has_no_interval(values):
    found = mean_interval(values)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.mean == 0.5 if values else math.isnan(found.mean)


@pytest.mark.parametrize(("pairs", "p"), [(2, 0.5), (5, 0.0625), (6, 0.03125), (10, 2 / 1024)])
def test_when_one_is_always_better_p_is_the_least_that_so_many_pairs_can_have(pairs, p):
    mine = np.linspace(1, 2, pairs)
    assert paired(mine, mine - np.linspace(0.1, 0.3, pairs)).p == pytest.approx(p)


@pytest.mark.parametrize("pairs", range(2, 13))
@pytest.mark.parametrize("digits", [15, 1])  # with one digit many differences are equal or none
def test_p_is_that_of_scipys_paired_permutation_test(pairs, digits):
    rng = np.random.default_rng(5)
    mine, theirs = rng.normal(0.4, 1, pairs).round(digits), rng.normal(0, 1, pairs).round(digits)
    reference = stats.permutation_test(
        (mine - theirs,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert paired(mine, theirs).p == pytest.approx(reference.pvalue)


def test_differences_that_cancel_out_have_p_1_whatever_their_sum_is_rounded_to():
    differences = [-0.2, -0.4, -0.6, 0.8, 0.4]
    assert 0 < abs(sum(differences)) < 1e-15
    assert paired(differences, np.zeros(5)).p == 1.0


def test_p_of_many_pairs_is_near_the_exact_one():
    rng = np.random.default_rng(6)
    differences = rng.normal(0.5, 1, 14)
    signs = 1 - 2 * ((np.arange(2**14)[:, None] >> np.arange(14)) & 1)
    exact = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) * (1 - 1e-12))
    assert paired(differences, np.zeros(14)).p == pytest.approx(exact, abs=0.01)


def test_equal_results_differ_in_nothing():
    found = paired([0.5, 0.25, 0.75], [0.5, 0.25, 0.75])
    assert (found.p, found.difference.mean, found.differences) == (1.0, 0.0, (0.0, 0.0, 0.0))
    assert math.isnan(found.effect)


def test_a_difference_of_float32_rounding_is_none():
    assert paired([0.96852, 0.5], [0.96852 + 3e-8, 0.5]).differences == (0.0, 0.0)
    assert paired([0.96852, 0.5], [0.96852 + 3e-5, 0.5]).differences != (0.0, 0.0)


def test_the_effect_is_the_mean_difference_over_its_deviation():
    assert paired([1.0, 2.0, 3.0], [0.0, 0.0, 0.0]).effect == pytest.approx(2.0)


def test_p_values_are_corrected_step_by_step():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_a_medium_effect_needs_the_34_pairs_that_tables_give_for_it():
    differences = np.array([1.0, -1.0] * 20)
    differences += 0.5 * np.std(differences, ddof=1) - differences.mean()
    assert repeats_needed(paired(differences, np.zeros(40)), tests=1) == 34


@pytest.mark.parametrize(("tests", "repeats"), [(1, 6), (2, 7), (12, 9), (21, 10)])
def test_the_largest_effect_needs_as_many_repeats_as_the_test_can_show_anything_with(tests, repeats):
    assert repeats_needed(paired([1.0, 1.001, 0.999], [0.0, 0.0, 0.0]), tests) == repeats
    always_better = paired(np.linspace(1, 2, repeats), np.zeros(repeats))
    assert always_better.p * tests < 0.05
    assert paired(np.linspace(1, 2, repeats - 1), np.zeros(repeats - 1)).p * tests >= 0.05


def test_no_effect_has_no_number_of_repeats():
    assert repeats_needed(paired([1.0, 2.0], [1.0, 2.0]), 3) is None
    assert repeats_needed(paired([0.001, -0.001, 0.00001], [0.0, 0.0, 0.0]), 3) is None


def test_wins_are_shares_of_all_pairs_of_runs():
    assert share_of_wins([3, 2], [1, 2]) == 0.875
    assert share_of_wins([1, 1], [1]) == 0.5


def test_ranks_share_where_values_are_equal():
    assert average_ranks([[3, 1], [2, 1], [1, 5]]) == [1.75, 2.25, 2.0]


def test_a_band_of_five_reaches_from_the_worst_to_the_best():
    curves = np.array([[np.nan, value, 7.0] for value in (1.0, 2.0, 3.0, 4.0, 5.0)])
    curves[0, 0] = 2.0
    median, low, high = median_band(curves)
    assert np.isnan([median[0], low[0], high[0]]).all()
    assert (median[1], low[1], high[1]) == (3.0, 1.0, 5.0)
    assert (median[2], low[2], high[2]) == (7.0, 7.0, 7.0)


def test_a_band_of_one_is_its_curve():
    band = median_band(np.array([[np.nan, 2.0]]))
    assert [line[1] for line in band] == [2.0, 2.0, 2.0]
    assert np.isnan([line[0] for line in band]).all()


@pytest.mark.parametrize("repeats", [2, 3, 5, 8, 20])
def test_a_band_is_the_percentiles_of_medians_of_repeats_drawn_with_replacement(repeats):
    curves = np.random.default_rng(repeats).normal(size=(repeats, 30)).cumsum(axis=1)
    curves[0, :3] = np.nan
    drawn = np.random.default_rng(0).integers(repeats, size=(4_000, repeats))
    medians = np.median(curves[drawn], axis=1)
    low, high = np.quantile(medians, (0.025, 0.975), axis=0)
    for found, expected in zip(median_band(curves), (np.median(curves, axis=0), low, high), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_a_speed_up_is_the_median_of_the_repeats_ratios():
    found = speed_up([10, 5, 20, 10, 8], [20, 20, 20, 20, 20])
    assert found.ratio == 2.0
    assert 1.0 <= found.low <= 2.0 <= found.high <= 4.0
    assert (found.reached, found.repeats) == (5, 5)


def test_a_value_that_was_mostly_not_reached_is_no_number():
    found = speed_up([None, None, 5, None], [20, 20, 20, 20])
    assert (found.ratio, found.low, found.reached, found.repeats) == (None, None, 1, 4)


def test_a_value_not_reached_in_a_few_repeats_leaves_the_interval_open_below():
    found = speed_up([10, None, 5], [20, 20, 20])
    assert (found.ratio, found.low, found.high) == (2.0, None, 4.0)


def test_reached_in_exactly_half_of_the_repeats_is_not_reached():
    assert speed_up([10, None], [20, 20]).ratio is None


def test_a_repeat_in_which_the_baseline_has_no_value_is_left_out():
    assert speed_up([10, 10], [20, None]).repeats == 1
    assert speed_up([10], [None]) == (None, None, None, 0, 0)
