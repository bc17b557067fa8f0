"""Bounds that outliers cannot spoil, and ticks that are round numbers inside the range."""

import math

from hypothesis import given
from hypothesis import strategies as st

from bandstand.report.drawing.axes import linear_ticks, log_ticks, make_bounds
from bandstand.report.drawing.sampling import sample_best_and_evenly, sample_evenly

FINITE = st.floats(-1e9, 1e9)


def test_far_outliers_are_outside_on_the_bad_side_only():
    values = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1e6]
    assert make_bounds(values, 1.0) == (1.0, 1.5, 1)
    assert make_bounds(values, -1.0) == (1.0, 1e6, 0)
    assert make_bounds([-value for value in values], -1.0) == (-1.5, -1.0, 1)


def test_nothing_is_cut_where_values_are_merely_spread():
    assert make_bounds([0.1, 0.2, 0.4, 0.8, 1.6], 1.0) == (0.1, 1.6, 0)


@given(st.lists(st.floats(), max_size=30), st.sampled_from([1.0, -1.0]))
def test_bounds_hold_every_finite_value_but_those_they_count(values, sign):
    finite = [value for value in values if math.isfinite(value) and abs(value) < 1e300]
    bounds = make_bounds(finite, sign)
    if bounds is None:
        assert not finite
    else:
        assert sum(bounds.clip(value) != value for value in finite) == bounds.beyond
        assert bounds.clip(min(finite, key=lambda value: sign * value)) == min(finite, key=lambda value: sign * value)


@given(FINITE, FINITE)
def test_linear_ticks_are_few_and_inside(one, other):
    low, high = sorted((one, other))
    ticks = linear_ticks(low, high)
    slack = 1e-6 * max(1e-300, high - low)
    assert len(ticks) <= 6
    assert all(low - slack <= tick <= high + slack for tick in ticks)


@given(st.floats(1e-12, 1e6), st.floats(1.5, 1e9))
def test_log_ticks_are_few_and_inside(low, ratio):
    ticks = log_ticks(low, low * ratio)
    assert 2 <= len(ticks) <= 9
    assert all(low * 0.999 <= tick <= low * ratio * 1.001 for tick in ticks)


@given(st.integers(0, 500), st.integers(1, 100))
def test_samples_keep_their_size_and_order_and_never_repeat(count, limit):
    even, best = sample_evenly(range(count), limit), sample_best_and_evenly(range(count), limit)
    for sample in (even, best):
        assert len(sample) == min(count, limit)
        assert sample == sorted(set(sample))
