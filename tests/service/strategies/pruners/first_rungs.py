"""Curves that say at which epoch ranks settle, and what a study knows by them of where to compare first."""

from math import isfinite

__all__ = ["LEARNERS", "RUNGS", "is_known", "settling_at"]

LEARNERS = ("asha", "asha-promote")
"""The pruners that learn their first rung by default."""
RUNGS = (1, 3, 9)
"""Which may be a trial's first by default, where it trains for 27 epochs or more."""
_ENOUGH = 8


def settling_at(epoch, change=lambda value: value):
    """A curve of params `x` between 0 and 1: at each rung below this epoch, ranks are those at the next turned round.

    `change`: what becomes of a value. Every epoch adds a millionth, so that a trial may be unlucky in any of them.
    """
    turns = [rung for rung in RUNGS if rung <= epoch]

    def curve(params, at):
        turned = sum(rung > at for rung in turns) % 2
        return change((1 - params["x"] if turned else params["x"]) + at / 1e6)

    return curve


def is_known(history, low):
    """Whether enough trials have shown how ranks at a rung agree with those at the next, not being judged there."""
    high = RUNGS[RUNGS.index(low) + 1]
    pairs = [
        trial
        for trial in history.trials
        if trial.bracket > RUNGS.index(low)
        and trial.epochs >= high
        and all(isfinite(trial.values[rung - 1]) for rung in (low, high))
    ]
    return len(pairs) >= _ENOUGH
