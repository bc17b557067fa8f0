"""The diagnosis of learning curves, on curves constructed to be of each kind."""

import math

import numpy as np
import pytest

from bandstand.report.diagnosis import ADVICE, Kind, Reference, Rules, describe_rules, diagnose

EPOCHS = 30
STEPS = np.arange(1, EPOCHS + 1)
FALL = np.exp(-0.35 * (STEPS - 1))


def curves_of(kind):
    """Train and validation losses that anybody would call so; they start near 2.3."""
    return {
        "good fit": (0.2 + 2.1 * FALL, 0.25 + 2.1 * FALL),
        "still improving": (0.2 + 2.1 * np.exp(-0.05 * STEPS), 0.3 + 2.1 * np.exp(-0.05 * STEPS)),
        "underfit": (1.9 + 0.4 * FALL, 1.95 + 0.4 * FALL),
        "flat": (np.full(EPOCHS, 2.3), np.full(EPOCHS, 2.31)),
        "overfit": (0.02 + 2.2 * FALL, 0.4 + 1.9 * FALL + 0.04 * np.maximum(0, STEPS - 10)),
        "learnt by heart": (2.2 * np.exp(-0.15 * STEPS), 1.1 + 1.1 * np.exp(-1.0 * STEPS)),
        "training split": (0.1 + 2.1 * FALL, 0.9 + 2.1 * FALL),
        "easier validation": (0.7 + 1.6 * FALL, 0.2 + 1.6 * FALL),
        "noisy validation": (0.2 + 2.1 * FALL, 0.5 + 1.9 * FALL + 0.5 * (-1.0) ** STEPS),
        "diverged": (2.3 * 1.2**STEPS, 2.3 * 1.2**STEPS),
        "collapsed": (np.where(STEPS < 15, 0.2 + 2.1 * FALL, 2.25), np.where(STEPS < 15, 0.3 + 2.1 * FALL, 2.3)),
    }[kind]


STUDY = Reference(start=2.3, best=0.05)
EXPECTED = {
    "good fit": Kind.GOOD,
    "still improving": Kind.IMPROVING,
    "underfit": Kind.UNDERFIT,
    "flat": Kind.UNDERFIT,
    "overfit": Kind.OVERFIT,
    "learnt by heart": Kind.OVERFIT,
    "training split": Kind.TRAINING_SPLIT,
    "easier validation": Kind.VALIDATION_SPLIT,
    "noisy validation": Kind.VALIDATION_SPLIT,
    "diverged": Kind.DIVERGED,
    "collapsed": Kind.DIVERGED,
}


@pytest.mark.parametrize(("name", "kind"), EXPECTED.items())
def test_constructed_curves_of_each_kind_are_told_apart(name, kind):
    train, validation = curves_of(name)
    assert diagnose(STEPS, train, validation, reference=STUDY).kind == kind


@pytest.mark.parametrize(("name", "kind"), EXPECTED.items())
def test_noise_as_real_curves_have_it_does_not_change_the_verdict(name, kind):
    verdicts = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        train, validation = (curve + 0.02 * rng.standard_normal(EPOCHS) for curve in curves_of(name))
        verdicts.append(diagnose(STEPS, train, validation, reference=STUDY).kind)
    assert verdicts.count(kind) >= 38


@pytest.mark.parametrize(("name", "kind"), EXPECTED.items())
def test_a_metric_to_maximize_is_judged_like_its_mirror_image(name, kind):
    train, validation = (3.0 - curve for curve in curves_of(name))
    reference = Reference(start=3.0 - STUDY.start, best=3.0 - STUDY.best)
    if name in ("diverged", "collapsed"):  # these also ask how the first value compares with nought, which moved
        train, validation, reference = train - 3.0, validation - 3.0, Reference(-STUDY.start, -STUDY.best)
    assert diagnose(STEPS, train, validation, sign=-1.0, reference=reference).kind == kind


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize(("name", "kind"), EXPECTED.items())
def test_the_unit_of_the_metric_does_not_matter(name, kind, factor):
    train, validation = (factor * curve for curve in curves_of(name))
    reference = Reference(factor * STUDY.start, factor * STUDY.best)
    assert diagnose(STEPS, train, validation, reference=reference).kind == kind


def test_overfitting_is_dated_to_the_turn_of_the_validation_curve():
    found = diagnose(STEPS, *curves_of("overfit"), reference=STUDY)
    lowest = int(STEPS[curves_of("overfit")[1].argmin()])
    assert abs(found.epoch - lowest) <= 1
    assert found.label == f"overfit from epoch {found.epoch}"


def test_without_a_study_to_compare_with_only_a_flat_curve_is_underfit():
    assert diagnose(STEPS, *curves_of("flat")).kind == Kind.UNDERFIT
    assert diagnose(STEPS, *curves_of("good fit")).kind == Kind.GOOD


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_last_value_that_is_not_finite_is_divergence_and_an_earlier_one_is_left_out(bad):
    train, validation = (curve.copy() for curve in curves_of("good fit"))
    train[10] = bad
    assert diagnose(STEPS, train, validation, reference=STUDY).kind == Kind.GOOD
    validation[-1] = bad
    found = diagnose(STEPS, train, validation, reference=STUDY)
    assert found.kind == Kind.DIVERGED
    assert "epoch 30" in found.reason


def test_nothing_finite_at_all_is_divergence():
    assert diagnose([1, 2], [math.nan, math.nan], [math.nan, math.inf]).kind == Kind.DIVERGED


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_few_epochs_are_too_short_to_tell(count):
    train, validation = curves_of("good fit")
    found = diagnose(STEPS[:count], train[:count], validation[:count], reference=STUDY)
    assert found.kind == Kind.TOO_SHORT
    assert found.reason.startswith(f"It has {count} epoch")


def test_a_missing_training_metric_is_said():
    assert diagnose(STEPS, None, curves_of("good fit")[1]).kind == Kind.NO_TRAINING_CURVE


def test_constant_zero_curves_do_not_divide_by_zero():
    assert diagnose(STEPS, np.zeros(EPOCHS), np.zeros(EPOCHS)).kind == Kind.UNDERFIT


def test_thresholds_are_settings():
    train, validation = curves_of("training split")
    assert diagnose(STEPS, train, validation, reference=STUDY, rules=Rules(gap=0.6)).kind == Kind.GOOD
    assert diagnose(STEPS[:4], train[:4], validation[:4], rules=Rules(min_epochs=3)).kind != Kind.TOO_SHORT


def test_the_rules_in_words_name_every_kind_and_the_thresholds_in_force():
    told = dict(describe_rules(Rules(gap=0.33, min_epochs=7)))
    assert set(told) == set(Kind) - {Kind.NO_TRAINING_CURVE}
    assert "33%" in told[Kind.TRAINING_SPLIT]
    assert "7 epochs" in told[Kind.TOO_SHORT]
    assert set(ADVICE) == set(Kind)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_verdict_has_a_reason_of_one_sentence(name):
    reason = diagnose(STEPS, *curves_of(name), reference=STUDY).reason
    assert reason.endswith(".")
    assert ". " not in reason
