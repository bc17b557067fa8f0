"""What a trial's training and validation curves say about its fit.

Knows two lists of numbers and thresholds. Must not know studies, frames or pages.

The kinds are those that textbooks and courses name (Goodfellow, Bengio and Courville, Deep Learning, 2016, sections 5.2
and 7.8; J. Brownlee, How to use learning curves to diagnose machine learning model performance, 2019). What is
there a picture to compare with is here a rule on numbers, so that it can be checked; `describe_rules` says each in
words. All differences are measured as shares of a *scale*: the way from where trials start to the best training value,
so that the rules hold for losses and accuracies alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ADVICE", "Diagnosis", "Kind", "Reference", "Rules", "describe_rules", "diagnose"]

Array = NDArray[np.float64]


class Kind(StrEnum):
    """What a pair of curves looks like."""

    GOOD = "good fit"
    IMPROVING = "still improving"
    UNDERFIT = "underfit"
    OVERFIT = "overfit"
    TRAINING_SPLIT = "unrepresentative training split"
    VALIDATION_SPLIT = "unrepresentative validation split"
    DIVERGED = "diverged"
    TOO_SHORT = "too short to tell"
    NO_TRAINING_CURVE = "no training curve"


ADVICE: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.GOOD: "nothing to mend here; more data or another model may still do better",
        Kind.IMPROVING: "more epochs, or a higher learning rate",
        Kind.UNDERFIT: "a larger model, less regularization, another learning rate",
        Kind.OVERFIT: "early stopping, more regularization, a smaller model, more data",
        Kind.TRAINING_SPLIT: "more training data, or a split that mixes the sources evenly",
        Kind.VALIDATION_SPLIT: "more validation data, or a split that mixes the sources evenly",
        Kind.DIVERGED: "a lower learning rate, gradient clipping, scaled inputs",
        Kind.TOO_SHORT: "nothing can be said before it trains longer",
        Kind.NO_TRAINING_CURVE: "log the training metric beside the validation one",
    }
)
"""What usually helps."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The thresholds. Shares are of the scale, see `Reference`."""

    min_epochs: int = 5
    """Fewer say nothing."""
    end_share: float = 0.2
    """Of the epochs, those whose mean is the curve's end; at least two."""
    diverged_loss: float = 0.8
    """Share of its own gain that training gives back."""
    diverged_rise: float = 0.5
    """How much worse than its first value training ends, as a share of that value."""
    improving: float = 0.03
    """What the validation curve gained from the end before the last one to the last."""
    overfit_rise: float = 0.05
    """How far validation ends above its best."""
    gap: float = 0.2
    """How far validation ends from training."""
    noise: float = 0.08
    """Standard deviation of validation around its own course."""
    noise_ratio: float = 3.0
    """And how many times that of training it is."""
    easier: float = 0.1
    """How much better than training validation ends."""
    underfit_way: float = 0.5
    """Of the scale, what training that has stopped gaining must have covered to count as fitted."""
    significant: float = 2.5
    """How many standard errors a difference must be, besides its share."""
    least_scale: float = 0.2
    """The scale is at least this share of the first value: the noise of a flat curve is no fall."""


class Reference(NamedTuple):
    """What the trials of one study start from, and the best training value that one of them reached."""

    start: float
    best: float


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


class _Curves(NamedTuple):
    """Both curves as losses, at the epochs where both are finite, and what the rules ask of them."""

    epochs: tuple[int, ...]
    train: Array
    validation: Array
    scale: float
    way: float  # share of the scale that training has covered at its end
    end: int  # how many epochs the end has

    def end_of(self, curve: Array) -> float:
        return float(curve[-self.end :].mean())

    def gained_lately(self, curve: Array) -> float:
        """How much better the end is than the stretch before it, as a share of the scale."""
        return float(curve[-2 * self.end : -self.end].mean() - curve[-self.end :].mean()) / self.scale

    def error(self, curve: Array) -> float:
        """Standard error of a difference of two ends, as a share of the scale."""
        return _noise(curve) * math.sqrt(2 / self.end) / self.scale


def diagnose(
    epochs: Sequence[int],
    train: Sequence[float] | None,
    validation: Sequence[float],
    *,
    sign: float = 1.0,
    reference: Reference | None = None,
    rules: Rules | None = None,
) -> Diagnosis:
    """What two curves say about a trial's fit.

    Args:
        epochs: of the values, counted from 1, ascending.
        train: the metric on the training data after each epoch; None where it was not logged.
        validation: the metric on the validation data.
        sign: 1 where smaller is better, -1 where larger is.
        reference: of the study, in the metric's own units; without it, the trial is measured by itself.
        rules: the thresholds; the defaults where left out.
    """
    rules = rules or Rules()
    held = sign * np.asarray(validation, dtype=float)
    if train is None:
        return Diagnosis(Kind.NO_TRAINING_CURVE, "The logs have no training metric beside it.")
    fitted = sign * np.asarray(train, dtype=float)
    usable = np.isfinite(fitted) & np.isfinite(held)
    if not usable.all() and len(usable) and not usable[-1]:
        return Diagnosis(Kind.DIVERGED, f"The metric was not finite in epoch {epochs[-1]}, its last.")
    if usable.any():
        diverged = _diverged(fitted[usable], rules)
        if diverged:
            return Diagnosis(Kind.DIVERGED, diverged)
    if int(usable.sum()) < rules.min_epochs:
        count = int(usable.sum())
        return Diagnosis(
            Kind.TOO_SHORT,
            f"It has {count} {'epoch' if count == 1 else 'epochs'} with both values; {rules.min_epochs} are needed.",
        )
    kept = tuple(epoch for epoch, use in zip(epochs, usable, strict=True) if use)
    curves = _make_curves(kept, fitted[usable], held[usable], sign, reference, rules)
    for rule in (_noisy, _overfit, _improving, _underfit, _easier, _gap):
        found = rule(curves, rules)
        if found:
            return found
    return Diagnosis(
        Kind.GOOD,
        f"Both curves have levelled off, with validation {_percent(_gap_of(curves))} of the scale from training.",
    )


def _make_curves(
    epochs: tuple[int, ...], train: Array, validation: Array, sign: float, reference: Reference | None, rules: Rules
) -> _Curves:
    start, best = (sign * reference.start, sign * reference.best) if reference else (train[0], train.min())
    own = max(train[0], validation[0]) - min(train.min(), validation.min())
    floor = rules.least_scale * max(abs(train[0]), abs(train[-1]))
    scale = max(float(start - best), float(own) if reference is None else 0.0, float(floor), 1e-12)
    end = min(max(2, round(rules.end_share * len(train))), len(train) // 2)
    reached = float(train[-end:].mean())
    return _Curves(epochs, train, validation, scale, (start - reached) / scale, end)


def _diverged(train: Array, rules: Rules) -> str:
    first, last, best = float(train[0]), float(train[-1]), float(train.min())
    if last - first > rules.diverged_rise * abs(first):
        return "Training ended far worse than it began."
    gained = first - best
    if gained > rules.least_scale * max(abs(first), abs(best)) and last - best > rules.diverged_loss * gained:
        return f"Training gave back {_percent((last - best) / gained)} of what it had gained."
    return ""


def _noise(curve: Array) -> float:
    """Standard deviation of a curve around its course, from its second differences, which a slope does not touch.

    Robust: the median of the absolute ones. For independent normal errors their deviation is sqrt(6) times as large.
    """
    if len(curve) < 3:
        return 0.0
    return float(np.median(np.abs(np.diff(curve, 2)))) * 1.4826 / 6**0.5


def _noisy(curves: _Curves, rules: Rules) -> Diagnosis | None:
    validation, train = _noise(curves.validation), _noise(curves.train)
    if validation < rules.noise * curves.scale or validation < rules.noise_ratio * train:
        return None
    return Diagnosis(
        Kind.VALIDATION_SPLIT,
        f"Validation jumps from epoch to epoch by {_percent(validation / curves.scale)} of the scale while training "
        "runs smoothly: too few validation examples, or not like the others.",
    )


def _smooth(curve: Array) -> Array:
    """Running mean of three; the ends as they are."""
    middle = (curve[:-2] + curve[1:-1] + curve[2:]) / 3
    return np.concatenate([curve[:1], middle, curve[-1:]])


def _overfit(curves: _Curves, rules: Rules) -> Diagnosis | None:
    smooth = _smooth(curves.validation)
    turn = int(smooth[: -curves.end].argmin())
    rise = (curves.end_of(curves.validation) - float(smooth[turn])) / curves.scale
    error = curves.error(curves.validation)
    went_on = curves.end_of(curves.train) <= float(_smooth(curves.train)[turn])
    if rise > rules.overfit_rise and rise > rules.significant * error and went_on:
        return Diagnosis(
            Kind.OVERFIT,
            f"Validation was best around epoch {curves.epochs[turn]} and has got worse since, by {_percent(rise)} of "
            "the scale, while training went on improving.",
            curves.epochs[turn],
        )
    # A gap that opens where validation has stopped gaining is learning by heart too, even if validation does not rise.
    level = int(np.flatnonzero(smooth <= smooth.min() + rules.overfit_rise * curves.scale)[0])
    widened = _gap_of(curves) - float((smooth - _smooth(curves.train))[level]) / curves.scale
    if _is_improving(curves, rules) or widened <= rules.gap or widened <= rules.significant * error:
        return None
    return Diagnosis(
        Kind.OVERFIT,
        f"Validation has stood still since about epoch {curves.epochs[level]} while training went on improving, by "
        f"{_percent(widened)} of the scale.",
        curves.epochs[level],
    )


def _is_improving(curves: _Curves, rules: Rules, *, train: bool = False) -> bool:
    curve = curves.train if train else curves.validation
    gain = curves.gained_lately(curve)
    return gain > rules.improving and gain > rules.significant * curves.error(curve)


def _improving(curves: _Curves, rules: Rules) -> Diagnosis | None:
    short = curves.way < rules.underfit_way and _is_improving(curves, rules, train=True)
    if not _is_improving(curves, rules) and not short:
        return None
    which = "training" if not _is_improving(curves, rules) else "validation"
    gain = curves.gained_lately(curves.train if which == "training" else curves.validation)
    return Diagnosis(
        Kind.IMPROVING,
        f"The {which} curve still gained {_percent(gain)} of the scale in its last {curves.end} epochs, so it was "
        "stopped early.",
    )


def _underfit(curves: _Curves, rules: Rules) -> Diagnosis | None:
    if curves.way >= rules.underfit_way:
        return None
    return Diagnosis(
        Kind.UNDERFIT,
        f"Training has stopped improving after {_percent(max(0.0, curves.way))} of the way from the start to the "
        "best training value.",
    )


def _gap_of(curves: _Curves) -> float:
    return (curves.end_of(curves.validation) - curves.end_of(curves.train)) / curves.scale


def _easier(curves: _Curves, rules: Rules) -> Diagnosis | None:
    if -_gap_of(curves) <= max(rules.easier, rules.significant * curves.error(curves.validation)):
        return None
    return Diagnosis(
        Kind.VALIDATION_SPLIT,
        f"Validation ends better than training by {_percent(-_gap_of(curves))} of the scale: its examples are easier, "
        "or dropout and augmentation make training harder.",
    )


def _gap(curves: _Curves, rules: Rules) -> Diagnosis | None:
    if _gap_of(curves) <= max(rules.gap, rules.significant * curves.error(curves.validation)):
        return None
    return Diagnosis(
        Kind.TRAINING_SPLIT,
        f"Both curves have levelled off, but validation stays {_percent(_gap_of(curves))} of the scale behind "
        "training: the training examples do not stand for the others.",
    )


def _percent(share: float) -> str:
    return f"{abs(share):.0%}" if abs(share) >= 0.005 else "less than 1%"


def describe_rules(rules: Rules | None = None) -> tuple[tuple[str, str], ...]:
    """Each kind and its rule, in the order in which they are tried."""
    rules = rules or Rules()
    shown: dict[str, Any] = {name: f"{value:.0%}" for name, value in vars(rules).items() if isinstance(value, float)}
    return (
        (
            Kind.DIVERGED,
            f"the last value is not finite, training gave back more than {shown['diverged_loss']} of its gain, or it "
            f"ended worse than its first value by more than {shown['diverged_rise']} of that",
        ),
        (Kind.TOO_SHORT, f"fewer than {rules.min_epochs} epochs"),
        (
            Kind.VALIDATION_SPLIT,
            f"validation scatters by more than {shown['noise']} of the scale and {rules.noise_ratio:g} times as much "
            f"as training, or it ends better than training by more than {shown['easier']}",
        ),
        (
            Kind.OVERFIT,
            f"validation ends above its best by more than {shown['overfit_rise']} while training did not get worse, or "
            f"the gap widened by more than {shown['gap']} since validation stood still",
        ),
        (
            Kind.IMPROVING,
            f"the last {shown['end_share']} of the epochs are better on validation than as many before them by more "
            f"than {shown['improving']}",
        ),
        (
            Kind.UNDERFIT,
            f"training stopped before {shown['underfit_way']} of the way to the best training value of the study",
        ),
        (Kind.TRAINING_SPLIT, f"validation ends behind training by more than {shown['gap']}, and had been before"),
        (Kind.GOOD, "none of these"),
    )
