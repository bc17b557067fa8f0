"""What a trial's training and validation curves say about its fit.

Knows lists of numbers and thresholds. Must not know studies, frames or pages.

The kinds are those that textbooks and courses name (Goodfellow, Bengio and Courville, Deep Learning, 2016, sections 5.2
and 7.8; J. Brownlee, How to use learning curves to diagnose machine learning model performance, 2019). What is there a
picture to compare with is here a rule on numbers, so that it can be checked; `describe_rules` says each in words, and
docs/explanation/diagnosis.md how often they are right. A kind is named only where noise leaves no other;
otherwise the diagnosis is "not clear".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bandstand.report.curves.diagnosis_rules import ADVICE, Kind, Rules, describe_rules
from bandstand.report.curves.error_curves import Array, ErrorCurve, Estimate, Scale, make_course, scale_for
from bandstand.report.text import measured

__all__ = ["ADVICE", "Diagnosis", "Kind", "Logged", "Reference", "Rules", "describe_rules", "diagnose"]


class Reference(NamedTuple):
    """What the trials of one study start from, and the best values that they reached."""

    start: float
    """The lower quartile of the first training values."""
    train: float
    validation: float


class Logged(NamedTuple):
    """A metric as it was logged after each epoch."""

    name: str
    """Of the metric on validation data, such as val_accuracy."""
    sign: float
    """1 where smaller is better, -1 where larger is."""
    train: Sequence[float] | Array
    validation: Sequence[float] | Array
    reference: Reference | None = None
    """Of the study, in the metric's own units; without it, the trial is measured by itself."""


class Diagnosis(NamedTuple):
    """A verdict with its reason."""

    kind: Kind
    reason: str
    """One sentence."""
    epoch: int | None = None
    """Since when it is overfit."""

    @property
    def label(self) -> str:
        """`overfit from epoch 7`."""
        return f"{self.kind} from epoch {self.epoch}" if self.epoch is not None else str(self.kind)


class _Pair(NamedTuple):
    """Both curves of one metric."""

    name: str
    scale: Scale
    train: ErrorCurve
    validation: ErrorCurve
    reference: Reference | None

    def went_on(self) -> bool:
        """Whether training ended no worse than it was where validation was best, or has nothing left to learn."""
        train = self.train
        return train.end <= float(train.errors[self.validation.turn]) or train.end <= 0

    def is_level(self, rules: Rules) -> bool:
        """Whether validation has clearly stopped falling and not risen."""
        course = self.validation
        return course.rise.is_below(rules.no_rise) and course.gain.is_below(rules.no_gain)


def diagnose(
    epochs: Sequence[int], objective: Logged | None, loss: Logged | None = None, *, rules: Rules | None = None
) -> Diagnosis:
    """What a trial's curves say about its fit.

    Args:
        epochs: of the values, counted from 1, ascending.
        objective: the metric that the study optimizes; None where training does not log it.
        loss: where the objective is another metric and the loss was logged. Both must agree.
        rules: the thresholds; the defaults where left out.
    """
    rules = rules or Rules()
    if objective is None:
        return Diagnosis(Kind.NO_TRAINING_CURVE, "The logs do not contain the training metric.")
    logged = [each for each in (objective, loss) if each is not None]
    values = np.asarray([curve for each in logged for curve in (each.train, each.validation)], dtype=float)
    usable = np.isfinite(values).all(axis=0)
    if len(usable) and not usable[-1]:
        return Diagnosis(Kind.DIVERGED, f"Its last epoch, epoch {epochs[-1]}, has a value that is not finite.")
    kept = [epoch for epoch, use in zip(epochs, usable, strict=True) if use]
    for each, train in zip(logged, values[::2], strict=True):
        found = _diverged(each, train[usable], rules)
        if found:
            return found
    if len(kept) < rules.min_epochs:
        count = f"{len(kept)} {'epoch' if len(kept) == 1 else 'epochs'}"
        return Diagnosis(Kind.NOT_CLEAR, f"It has {count} with all values; the diagnosis needs {rules.min_epochs}.")
    pairs = [
        _make_pair(each, train[usable], validation[usable])
        for each, train, validation in zip(logged, values[::2], values[1::2], strict=True)
    ]
    for rule in (_not_learning, _overfit, _still_learning, _underfit, _well_fit):
        verdict = rule(pairs, kept, rules)
        if verdict:
            return verdict
    return _not_clear(pairs, kept, rules)


def _make_pair(logged: Logged, train: Array, validation: Array) -> _Pair:
    reference = logged.reference
    known = [] if reference is None else [reference.start, reference.train, reference.validation]
    scale = scale_for(logged.sign, np.concatenate([train, validation, known]))
    start = None if reference is None else float(scale.error_of(reference.start))
    bounded = scale.best is not None
    return _Pair(
        logged.name, scale,
        make_course(scale.error_of(train), bounded=bounded, start=start),
        make_course(scale.error_of(validation), bounded=bounded, start=start),
        reference,
    )  # fmt: skip


def _diverged(logged: Logged, train: Array, rules: Rules) -> Diagnosis | None:
    if len(train) < 2:
        return None
    errors = scale_for(logged.sign, train).error_of(train)
    first, last, best = float(errors[0]), float(errors[-1]), float(errors.min())
    if last - first > 0.5 * abs(first):
        return Diagnosis(Kind.DIVERGED, f"The training {_word(logged)} ended far worse than it began.")
    gained = first - best
    if gained > 0.2 * abs(first) and last - best > rules.collapsed * gained:
        return Diagnosis(
            Kind.DIVERGED,
            f"The training {_word(logged)} lost {_percent((last - best) / gained)} of its improvement.",
        )
    return None


def _word(logged: Logged) -> str:
    return logged.name.removeprefix("val_")


def _not_learning(pairs: Sequence[_Pair], epochs: Sequence[int], rules: Rules) -> Diagnosis | None:
    if any(pair.validation.gain.is_above(rules.gain) for pair in pairs):
        return None
    names = " and ".join(pair.name.removeprefix("val_") for pair in pairs)
    if _are_flat(pairs, rules):
        return Diagnosis(Kind.NOT_LEARNING, f"Training has not improved {names} since the first epoch.")
    if all(_is_where_others_begin(pair, rules) for pair in pairs):
        return Diagnosis(
            Kind.NOT_LEARNING,
            f"Training has levelled off, but its {names} is no better than that of other trials after one epoch.",
        )
    return None


def _are_flat(pairs: Sequence[_Pair], rules: Rules) -> bool:
    """Whether training has clearly not got better since its first epoch by one metric, and maybe not by the other."""
    fallen = [_fallen(pair.train) for pair in pairs]
    still = all(each.may_be_below(rules.flat) for each in fallen)
    return still and any(each.is_below(2 * rules.flat) for each in fallen)


def _fallen(train: ErrorCurve) -> Estimate:
    """How much better training ends than it began, as a share of its first error; an error of 0 cannot get better."""
    first = float(train.errors[0])
    return Estimate((first - train.end) / first, train.noise / first) if first > 0 else Estimate(1.0, 0.0)


def _is_where_others_begin(pair: _Pair, rules: Rules) -> bool:
    """Whether training has stopped at no better than a good quarter of the study's trials have after their first epoch.

    A first epoch can learn to give the same answer whatever the model is shown.
    """
    if pair.reference is None or not _is_behind(pair, rules) or pair.train.gain.is_above(rules.gain):
        return False
    return pair.train.end > float(pair.scale.error_of(pair.reference.start)) * (1 - rules.flat)


def _overfit(pairs: Sequence[_Pair], epochs: Sequence[int], rules: Rules) -> Diagnosis | None:
    risen = [pair for pair in pairs if pair.validation.rise.is_above(rules.rise) and pair.went_on()]
    if not risen or not pairs[0].validation.rise.leans_above(rules.rise):
        return None
    if any(pair.validation.gain.is_above(rules.gain) for pair in pairs):
        return None
    epoch = epochs[risen[0].validation.turn]
    return Diagnosis(Kind.OVERFIT, f"{_turned(risen[0], epochs)}, while training kept improving.", epoch)


def _turned(pair: _Pair, epochs: Sequence[int]) -> str:
    course = pair.validation
    best = measured(pair.scale.value_of(course.best))
    return f"{pair.name} was best around epoch {epochs[course.turn]} ({best}) and ended worse ({_end(pair)})"


def _still_learning(pairs: Sequence[_Pair], epochs: Sequence[int], rules: Rules) -> Diagnosis | None:
    falling = [pair for pair in pairs if pair.validation.gain.is_above(rules.gain)]
    if not falling or any(pair.validation.rise.is_above(rules.rise) for pair in pairs):
        return None
    if _are_flat(pairs, rules) or not pairs[0].validation.gain.leans_above(rules.gain):
        return None
    course = falling[0].validation
    likely = course.end - course.gain.value * course.unit
    likely = falling[0].scale.value_of(likely if falling[0].scale.best is None else max(likely, 0.0))
    return Diagnosis(
        Kind.STILL_LEARNING,
        f"{falling[0].name} was still improving at its end ({_end(falling[0])}), and with twice as many epochs it "
        f"might reach about {measured(likely)}.",
    )


def _underfit(pairs: Sequence[_Pair], epochs: Sequence[int], rules: Rules) -> Diagnosis | None:
    if not _are_level(pairs, rules) or not all(_is_behind(pair, rules) for pair in pairs):
        return None
    reference = pairs[0].reference
    assert reference is not None
    return Diagnosis(
        Kind.UNDERFIT,
        f"{pairs[0].name} has levelled off at about {_end(pairs[0])}, and the study's best trials are far better in "
        f"training ({measured(reference.train)}) and in validation ({measured(reference.validation)}).",
    )


def _are_level(pairs: Sequence[_Pair], rules: Rules) -> bool:
    """Whether one of the metrics has clearly levelled off, and as far as can be seen so has the other."""
    seen = all(
        course.rise.may_be_below(rules.no_rise)
        and course.gain.may_be_below(rules.no_gain)
        and not course.rise.is_above(rules.rise)
        and not course.gain.is_above(rules.gain)
        for course in (pair.validation for pair in pairs)
    )
    return seen and any(pair.is_level(rules) for pair in pairs)


def _is_behind(pair: _Pair, rules: Rules) -> bool:
    """Whether the study's best trials have clearly smaller errors, in training and in validation."""
    if pair.reference is None or pair.scale.best is None:
        return False
    reached = (pair.reference.train, pair.reference.validation)
    return all(
        _times(course.end - 2 * course.noise, pair.scale, best, course) > rules.behind
        for course, best in zip((pair.train, pair.validation), reached, strict=True)
    )


def _times(error: float, scale: Scale, best: float, course: ErrorCurve) -> float:
    """How many times the study's best error an error is; the best counts as at least a unit, so that 0 is no wonder."""
    reached = float(scale.error_of(best))
    return 1 + (error - reached) / max(reached, course.unit)


def _well_fit(pairs: Sequence[_Pair], epochs: Sequence[int], rules: Rules) -> Diagnosis | None:
    if not _are_level(pairs, rules) or _doubts(pairs[0], rules):
        return None
    return Diagnosis(
        Kind.WELL_FIT, f"{pairs[0].name} has levelled off at about {_end(pairs[0])} and has not got worse."
    )


def _end(pair: _Pair) -> str:
    return measured(pair.scale.value_of(pair.validation.end))


def _doubts(pair: _Pair, rules: Rules) -> str | None:
    """Why a pair that has levelled off may not be well fit after all; None where nothing speaks against it."""
    train, validation, reference = pair.train, pair.validation, pair.reference
    if train.gain.is_above(rules.gain):
        return "training is still improving"
    if validation.end - train.end > rules.gap * train.gained.value * train.unit:
        return "it is far worse than training (more data, more regularization or a better split may or may not help)"
    if reference is None or pair.scale.best is None:
        return None
    times = _times(validation.end, pair.scale, reference.validation, validation)
    if times > rules.near:
        return "other trials of the study do better"
    if times > rules.harder and train.end > rules.harder * validation.end:
        return "other trials do better, and training has larger errors than validation (too much regularization?)"
    return None


def _not_clear(pairs: Sequence[_Pair], epochs: Sequence[int], rules: Rules) -> Diagnosis:
    """Why none of the kinds is clear."""
    risen = [pair for pair in pairs if pair.validation.rise.is_above(rules.rise)]
    others = [pair for pair in pairs if pair not in risen]
    doubt = _doubts(pairs[0], rules) if _are_level(pairs, rules) else None
    noisy = [pair for pair in pairs if 2 * pair.validation.rise.error > rules.no_rise]
    if risen and others:
        reason = f"{_turned(risen[0], epochs)}, but {others[0].name} did not clearly get worse."
    elif risen:
        reason = f"{_turned(risen[0], epochs)}, and so did training."
    elif doubt:
        reason = f"{pairs[0].name} has levelled off, but {doubt}."
    elif noisy:
        reason = f"{noisy[0].name} varies too much from epoch to epoch to show a trend at its end."
    else:
        reason = f"It is too early to say whether {pairs[0].name} has levelled off."
    return Diagnosis(Kind.NOT_CLEAR, reason)


def _percent(share: float) -> str:
    return f"{abs(share):.0%}" if abs(share) >= 0.005 else "less than 1%"
