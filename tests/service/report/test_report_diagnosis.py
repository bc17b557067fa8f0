"""The diagnosis of learning curves, on curves constructed to be of each kind."""

import math

import numpy as np
import pytest

from bandstand.report.curves.diagnosis import ADVICE, Kind, Logged, Reference, Rules, describe_rules, diagnose

EPOCHS = 40
STEPS = np.arange(1, EPOCHS + 1)
FALL = np.exp(-0.35 * (STEPS - 1))


def curves_of(kind):
    """Train and validation losses that anybody would call so; they start near 2.3."""
    return {
        "well fit": (0.2 + 2.1 * FALL, 0.25 + 2.1 * FALL),
        "dropout makes training harder": (0.7 + 1.6 * FALL, 0.26 + 1.6 * FALL),
        "still learning": (0.2 + 2.1 * np.exp(-0.03 * STEPS), 0.3 + 2.1 * np.exp(-0.03 * STEPS)),
        "learnt by heart": (0.02 + 2.2 * FALL, 1.1 + 1.1 * FALL),
        "underfit": (1.7 + 0.6 * FALL, 1.75 + 0.6 * FALL),
        "flat": (np.full(EPOCHS, 2.3), np.full(EPOCHS, 2.31)),
        "overfit": (0.02 + 2.2 * FALL, 0.4 + 1.9 * FALL + 0.04 * np.maximum(0, STEPS - 10)),
        "noisy validation": (0.2 + 2.1 * FALL, 0.5 + 1.9 * FALL + 0.5 * (-1.0) ** STEPS),
        "diverged": (2.3 * 1.2**STEPS, 2.3 * 1.2**STEPS),
        "collapsed": (np.where(STEPS < 15, 0.2 + 2.1 * FALL, 2.25), np.where(STEPS < 15, 0.3 + 2.1 * FALL, 2.3)),
    }[kind]


STUDY = Reference(start=2.3, train=0.05, validation=0.25)
EXPECTED = {
    "well fit": Kind.WELL_FIT,
    "dropout makes training harder": Kind.WELL_FIT,
    "still learning": Kind.STILL_LEARNING,
    "learnt by heart": Kind.NOT_CLEAR,
    "underfit": Kind.UNDERFIT,
    "flat": Kind.NOT_LEARNING,
    "overfit": Kind.OVERFIT,
    "noisy validation": Kind.NOT_CLEAR,
    "diverged": Kind.DIVERGED,
    "collapsed": Kind.DIVERGED,
}


def judge(train, validation, *, reference=STUDY, sign=1.0, rules=None, name="val_loss"):
    return diagnose(STEPS[: len(train)], Logged(name, sign, train, validation, reference), rules=rules)


def judge_accuracy(accuracy, loss):
    """By training and validation accuracy, with the losses beside them."""
    return diagnose(
        range(1, len(accuracy[0]) + 1), Logged("val_accuracy", -1.0, *accuracy), Logged("val_loss", 1.0, *loss)
    )


@pytest.mark.parametrize(("name", "kind"), EXPECTED.items())
def test_constructed_curves_of_each_kind_are_told_apart(name, kind):
    assert judge(*curves_of(name)).kind == kind


@pytest.mark.parametrize(("name", "kind"), EXPECTED.items())
def test_noise_as_real_curves_have_it_does_not_make_a_verdict_wrong(name, kind):
    verdicts = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        verdicts.append(judge(*(curve + 0.015 * rng.standard_normal(EPOCHS) for curve in curves_of(name))).kind)
    assert set(verdicts) <= {kind, Kind.NOT_CLEAR}
    assert verdicts.count(kind) >= 20


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize(("name", "kind"), EXPECTED.items())
def test_the_unit_of_the_metric_does_not_matter(name, kind, factor):
    reference = Reference(*(factor * value for value in STUDY))
    assert judge(*(factor * curve for curve in curves_of(name)), reference=reference).kind == kind


@pytest.mark.parametrize("name", ["well fit", "still learning", "overfit", "collapsed"])
def test_a_metric_without_a_best_value_is_judged_by_what_it_gained(name):
    train, validation = (100.0 - curve for curve in curves_of(name))
    found = judge(train, validation, reference=None, sign=-1.0, name="val_score")
    assert found.kind == EXPECTED[name] or name == "collapsed"


def test_an_accuracy_is_judged_by_what_it_lacks_of_one():
    """0.970 to 0.955 is half as many errors again, though it is a hundredth of the way from chance."""
    ended = 0.03 + 0.015 * np.clip((STEPS - 15) / 20, 0, 1)
    accuracy = 1 - 0.87 * FALL, 1 - np.maximum(ended, 0.9 * FALL)
    loss = 2.3 * FALL, 0.1 + 2.2 * FALL + 0.004 * np.maximum(0, STEPS - 15)
    found = judge_accuracy(accuracy, loss)
    assert found.kind == Kind.OVERFIT
    assert "val_accuracy was best around epoch 1" in found.reason


def test_training_that_makes_no_error_is_not_underfit():
    accuracy = np.minimum(1.0, 0.5 + 0.05 * STEPS), 0.97 - 0.4 * FALL
    loss = 0.0001 + 0.5 * FALL, 0.1 + 0.5 * FALL
    reference = Reference(0.5, 1.0, 0.975)
    found = diagnose(
        STEPS,
        Logged("val_accuracy", -1.0, *accuracy, reference),
        Logged("val_loss", 1.0, *loss, Reference(0.5, 0, 0.1)),
    )
    assert found.kind == Kind.WELL_FIT


def test_validation_that_levels_off_far_behind_training_is_not_clear_and_the_reason_says_so():
    """More regularization may help, or nothing: the curves of both look alike."""
    found = judge(*curves_of("learnt by heart"))
    assert found.reason.startswith("val_loss has levelled off, but it is far worse than training")


def test_validation_above_training_throughout_is_not_overfit():
    accuracy = 0.80 - 0.5 * FALL, 0.88 - 0.5 * FALL
    assert judge_accuracy(accuracy, (0.6 + 1.7 * FALL, 0.4 + 1.7 * FALL)).kind == Kind.WELL_FIT


@pytest.mark.parametrize("seed", range(5))
def test_a_dead_network_is_not_learning_whatever_its_noise_looks_like(seed):
    rng = np.random.default_rng(seed)
    accuracy = [0.1 + 0.004 * rng.standard_normal(60) for _ in range(2)]
    loss = [2.3026 + 0.0003 * rng.standard_normal(60) for _ in range(2)]
    assert judge_accuracy(accuracy, loss).kind == Kind.NOT_LEARNING


def test_a_loss_that_rises_while_the_accuracy_holds_is_not_clear():
    accuracy = 1 - 0.9 * FALL, 0.9 - 0.8 * FALL
    loss = 2.3 * FALL, 0.3 + 2.0 * FALL + 0.01 * np.maximum(0, STEPS - 10)
    found = judge_accuracy(accuracy, loss)
    assert found.kind == Kind.NOT_CLEAR
    assert found.reason.startswith("val_loss was best around epoch 1")
    assert found.reason.endswith("but val_accuracy did not clearly get worse.")


def test_overfitting_is_dated_to_the_turn_of_the_validation_curve():
    found = judge(*curves_of("overfit"))
    lowest = int(STEPS[curves_of("overfit")[1].argmin()])
    assert abs(found.epoch - lowest) <= 2
    assert found.label == f"overfit from epoch {found.epoch}"


def test_without_a_study_to_compare_with_nothing_is_underfit():
    assert judge(*curves_of("underfit"), reference=None).kind == Kind.WELL_FIT
    assert judge(*curves_of("flat"), reference=None).kind == Kind.NOT_LEARNING


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_last_value_that_is_not_finite_is_divergence_and_an_earlier_one_is_left_out(bad):
    train, validation = (curve.copy() for curve in curves_of("well fit"))
    train[10] = bad
    assert judge(train, validation).kind == Kind.WELL_FIT
    validation[-1] = bad
    found = judge(train, validation)
    assert found.kind == Kind.DIVERGED
    assert "epoch 40" in found.reason


def test_nothing_finite_at_all_is_divergence():
    assert judge([math.nan, math.nan], [math.nan, math.inf]).kind == Kind.DIVERGED


@pytest.mark.parametrize("count", range(6))
def test_few_epochs_are_not_clear(count):
    train, validation = curves_of("well fit")
    found = judge(train[:count], validation[:count])
    assert found.kind == Kind.NOT_CLEAR
    assert found.reason.startswith(f"It has {count} epoch")


def test_a_missing_training_metric_is_said():
    assert diagnose(STEPS, None).kind == Kind.NO_TRAINING_CURVE


def test_constant_zero_curves_do_not_divide_by_zero():
    assert judge(np.zeros(EPOCHS), np.zeros(EPOCHS), reference=None).kind == Kind.WELL_FIT


def test_thresholds_are_settings():
    train, validation = curves_of("overfit")
    assert judge(train, validation, rules=Rules(rise=10.0)).kind == Kind.NOT_CLEAR
    assert judge(train[:4], validation[:4], rules=Rules(min_epochs=3)).reason != judge(train[:4], validation[:4]).reason


def test_the_rules_in_words_name_every_kind_and_the_thresholds_in_force():
    told = dict(describe_rules(Rules(rise=0.33)))
    assert set(told) == set(Kind) - {Kind.NO_TRAINING_CURVE}
    assert "33%" in told[Kind.OVERFIT]
    assert set(ADVICE) == set(Kind)


def test_advice_follows_from_clear_kinds_only():
    assert [kind for kind, advice in ADVICE.items() if not advice] == [Kind.NOT_CLEAR, Kind.NO_TRAINING_CURVE]


@pytest.mark.parametrize("name", EXPECTED)
def test_every_verdict_has_a_reason_of_one_sentence(name):
    reason = judge(*curves_of(name)).reason
    assert reason.endswith(".")
    assert ". " not in reason
