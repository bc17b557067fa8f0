"""The kinds of learning curves, what usually helps, and the thresholds of the rules that tell them apart.

Knows names, numbers and words. Must not know curves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

__all__ = ["ADVICE", "Kind", "Rules", "describe_rules"]


class Kind(StrEnum):
    """What a pair of curves looks like."""

    WELL_FIT = "well fit"
    STILL_LEARNING = "still learning"
    UNDERFIT = "underfit"
    OVERFIT = "overfit"
    NOT_LEARNING = "not learning"
    DIVERGED = "diverged"
    NOT_CLEAR = "not clear"
    NO_TRAINING_CURVE = "no training curve"


ADVICE: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.WELL_FIT: "no change is needed; more data or another model may still do better",
        Kind.STILL_LEARNING: "more epochs, or a higher learning rate",
        Kind.UNDERFIT: "a larger model, less regularization, another learning rate",
        Kind.OVERFIT: "early stopping, more regularization, a smaller model, more data",
        Kind.NOT_LEARNING: "another learning rate, another initialization, scaled inputs",
        Kind.DIVERGED: "a lower learning rate, gradient clipping, scaled inputs",
        Kind.NOT_CLEAR: "",
        Kind.NO_TRAINING_CURVE: "",
    }
)
"""What usually helps; empty where nothing follows."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The thresholds. All but the first are in units of a curve, see `bandstand.report.curves.error_curves`."""

    min_epochs: int = 6
    """Fewer say nothing."""
    rise: float = 0.05
    """Validation is overfit where its end is clearly worse than its best by more than this …"""
    no_rise: float = 0.25
    """… and is not where it is clearly worse by less than this."""
    gain: float = 0.03
    """A curve still falls where its last quarter is clearly better than the one before by more than this …"""
    no_gain: float = 0.12
    """… and has levelled off where it is clearly better by less than this."""
    flat: float = 0.03
    """Training that has gained less than this share of its first error has learned nothing."""
    behind: float = 1.5
    """Underfit training and validation errors are more than so many times those of the study's best trials."""
    near: float = 1.3
    """A well fit trial's validation error is at most so many times the study's best …"""
    harder: float = 1.1
    """… or so many times, where its training error is as many times its validation error: dropout may be strong."""
    gap: float = 0.2
    """Of what training has gained, how far behind it a well fit trial's validation may end."""
    collapsed: float = 0.8
    """Diverged training has given back more than this share of its gain."""


def describe_rules(rules: Rules | None = None) -> tuple[tuple[str, str], ...]:
    """Each kind and its rule, in the order in which they are tried. Shares are of a curve's unit."""
    rules = rules or Rules()
    return (
        (
            Kind.DIVERGED,
            f"A value of the last epoch is not finite, training lost more than {rules.collapsed:.0%} of its "
            "improvement, or training ended far worse than it began.",
        ),
        (Kind.NOT_CLEAR, f"There are fewer than {rules.min_epochs} epochs."),
        (
            Kind.NOT_LEARNING,
            f"Training has improved by less than {rules.flat:.0%} since its first epoch, or it has levelled off at a "
            "value that a quarter of the study's trials reach in their first epoch.",
        ),
        (
            Kind.OVERFIT,
            f"Validation ends worse than its best by clearly more than {rules.rise:.0%}, and training ends no worse "
            "than it was in validation's best epoch.",
        ),
        (
            Kind.STILL_LEARNING,
            f"With twice as many epochs, validation would improve by clearly more than {rules.gain:.0%}, if the "
            "trend of the last three quarters of its epochs goes on.",
        ),
        (
            Kind.UNDERFIT,
            "Validation has levelled off, and the errors in training and in validation are both more than "
            f"{rules.behind:g} times the study's smallest ones.",
        ),
        (
            Kind.WELL_FIT,
            f"Validation has levelled off: it ends worse than its best by clearly less than {rules.no_rise:.0%}, and "
            f"with twice as many epochs it would improve by clearly less than {rules.no_gain:.0%}. Training no "
            f"longer improves, it is ahead of validation by at most {rules.gap:.0%} of training's improvement, and the "
            f"validation error is at most {rules.near:g} times the study's smallest.",
        ),
        (Kind.NOT_CLEAR, "None of these rules holds, or loss and metric contradict each other. There is no advice."),
    )
