"""One curve of errors: its scale, its noise, what it gains by training on."""

import numpy as np
import pytest

from bandstand.report.curves.error_curves import Scale, make_course, noise_of, scale_for

STEPS = np.arange(80)


@pytest.mark.parametrize(
    ("sign", "values", "best"),
    [
        (-1.0, [0.1, 0.97], 1.0),  # an accuracy
        (-1.0, [-3.0, 0.8], 1.0),  # a coefficient of determination
        (-1.0, [-2.3, -0.1], 0.0),  # a log-likelihood
        (-1.0, [12.0, 31.0], None),  # decibels
        (1.0, [2.3, 0.1], 0.0),
        (1.0, [2.3, -0.1], None),  # a density's negative log-likelihood
        (1.0, [np.nan], None),
    ],
)
def test_the_best_value_there_can_be_follows_from_the_values(sign, values, best):
    assert scale_for(sign, values) == Scale(sign, best)


def test_an_error_is_a_value_again():
    scale = scale_for(-1.0, [0.1, 0.97])
    assert scale.error_of(0.97) == pytest.approx(0.03)
    assert scale.value_of(0.03) == pytest.approx(0.97)


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_noise_is_told_from_a_slope_and_from_single_jumps(slope):
    errors = slope * STEPS + 0.1 * np.random.default_rng(0).standard_normal(80)
    errors[[50, 70]] += 5.0
    assert noise_of(errors) == pytest.approx(0.1, rel=0.6)


def test_noise_of_a_metric_that_mostly_stays_the_same_is_not_naught():
    errors = np.full(80, 0.1)
    errors[[60, 75]] = 0.2
    assert noise_of(errors) > 0.01


@pytest.mark.parametrize("pace", [0.02, 0.05, 0.1])
def test_the_gain_to_come_is_what_an_exponential_curve_gains_in_as_many_epochs_again(pace):
    later = np.arange(160)
    curve = 0.5 + 2.0 * np.exp(-pace * later)
    course = make_course(curve[:80], bounded=True)
    assert course.gain.value * course.unit == pytest.approx(curve[79] - curve[159], rel=0.12)


def test_the_unit_is_the_smaller_of_what_is_left_and_what_was_gained():
    fall = np.exp(-0.2 * STEPS)
    assert make_course(0.1 + 2.2 * fall, bounded=True).unit == pytest.approx(0.1, rel=0.01)
    assert make_course(100 + fall, bounded=True).unit == pytest.approx(1.0, rel=0.01)
    assert make_course(0.1 + 2.2 * fall, bounded=False).unit == pytest.approx(2.2, rel=0.01)


def test_an_outburst_in_the_first_epoch_is_no_gain_where_others_show_what_trainings_begin_with():
    curve = 8.0 + 200 * np.exp(-0.2 * STEPS)
    curve[0] = 1e6
    assert make_course(curve, bounded=True).unit > 1000
    assert make_course(curve, bounded=True, start=200.0).unit == pytest.approx(8.0, rel=0.01)
