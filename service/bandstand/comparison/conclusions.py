"""What a comparison's numbers allow to say of its arms.

Knows results and statistics. Must not know how anything is worded or drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import nan
from typing import Literal, NamedTuple

from bandstand.comparison.results import Arm, ArmStudy, Results
from bandstand.comparison.statistics import (
    CONFIDENCE,
    ConfidenceInterval,
    Paired,
    SpeedUp,
    average_ranks,
    holm,
    mean_interval,
    paired,
    repeats_needed,
    share_of_wins,
    speed_up,
)

__all__ = ["ArmConclusion", "Conclusions", "Measure", "Versus", "judge"]

Measure = Literal["test", "validation"]


class ArmConclusion(NamedTuple):
    """One arm by itself; values in the metric's own direction."""

    label: str
    runs: int
    failed: int
    missing: int
    validation: ConfidenceInterval
    test: ConfidenceInterval | None
    gap: ConfidenceInterval | None
    """How much better the chosen models look on the validation data than on the test data; positive: they do."""
    rank: float
    """Mean over the repeats that all arms have, 1 the best."""
    epochs: float
    trials: float
    train_seconds: float


class Versus(NamedTuple):
    """An arm against another, positive differences being in the arm's favour."""

    arm: str
    other: str
    found: Paired
    p: float
    """Holm's, over the family of tests that it is reported with."""
    needed: int | None
    """Repeats that would be needed to show such a difference, None where that cannot be said or is beyond 1,000."""
    speed_up: SpeedUp
    """In reaching the other's final value on the validation data."""
    wins: float
    """The probability that a run of the arm is better than one of the other."""

    @property
    def is_better(self) -> bool:
        """Whether the arm is shown to be better: by the test, and by the interval of the difference."""
        return self.p < 1 - CONFIDENCE and self.found.difference.low > 0

    @property
    def is_worse(self) -> bool:
        """Whether it is shown to be worse."""
        return self.p < 1 - CONFIDENCE and self.found.difference.high < 0


@dataclass(frozen=True, kw_only=True)
class Conclusions:
    """All that is said about a comparison."""

    measure: Measure
    """What differences are in: test values where all runs have them."""
    arms: tuple[ArmConclusion, ...]
    against: tuple[tuple[str, tuple[Versus, ...]], ...]
    """For each baseline, every other arm against it."""
    pairs: tuple[Versus, ...]
    """Every two arms once, the better one on average first."""
    leader: str | None
    """The arm with the best mean; None where no arm has a value."""

    def leaders_over(self) -> tuple[Versus, ...]:
        """The leader against each other arm that it can be compared with."""
        return tuple(versus for versus in self.pairs if versus.arm == self.leader)

    @property
    def winner(self) -> str | None:
        """The leader where it is shown to be better than each other arm, else None."""
        others = [arm for arm in self.arms if arm.runs and arm.label != self.leader]
        over = self.leaders_over()
        return self.leader if others and len(over) == len(others) and all(one.is_better for one in over) else None


@lru_cache(maxsize=1)  # a command prints it, writes it and shows it in Optuna Dashboard
def judge(results: Results) -> Conclusions:
    """Judge what there is, finished or not."""
    sign = -results.plan.spec.objective.sign  # more is better
    measure: Measure = "test" if results.has_test else "validation"
    value = _value_of(measure, sign)
    arms = [arm for arm in results.arms if arm.studies]
    means = {arm.label: mean_interval([value(run) for run in arm.studies]).mean for arm in arms}
    ranks = _ranks(arms, value)
    families = [
        (base, _family([(arm, results.arm(base)) for arm in arms if arm.label != base], value, sign))
        for base in results.plan.baselines()
        if results.arm(base).studies
    ]
    ordered = sorted(arms, key=lambda arm: -means[arm.label])
    return Conclusions(
        measure=measure,
        arms=tuple(_of_arm(arm, sign, ranks.get(arm.label, nan)) for arm in results.arms),
        against=tuple(families),
        pairs=_family(list(combinations(ordered, 2)), value, sign),
        leader=ordered[0].label if ordered else None,
    )


def _value_of(measure: Measure, sign: float) -> Callable[[ArmStudy], float]:
    def value(run: ArmStudy) -> float:
        found = run.test_value if measure == "test" else run.best_value
        assert found is not None  # finished runs have the one, `has_test` says that all have the other
        return sign * found

    return value


def _of_arm(arm: Arm, sign: float, rank: float) -> ArmConclusion:
    best = [run.best_value for run in arm.studies if run.best_value is not None]
    tested = [(run.best_value, run.test_value) for run in arm.studies if run.test_value is not None]
    count = len(arm.studies) or 1
    return ArmConclusion(
        label=arm.label,
        runs=len(arm.studies),
        failed=len(arm.failed),
        missing=arm.missing,
        validation=mean_interval(best),
        test=mean_interval([test for _, test in tested]) if tested else None,
        gap=mean_interval([sign * (best - test) for best, test in tested if best is not None]) if tested else None,
        rank=rank,
        epochs=sum(run.epochs for run in arm.studies) / count,
        trials=sum(run.trials for run in arm.studies) / count,
        train_seconds=sum(run.train_seconds for run in arm.studies) / count,
    )


def _ranks(arms: list[Arm], value: Callable[[ArmStudy], float]) -> dict[str, float]:
    shared = set.intersection(*({run.repeat for run in arm.studies} for arm in arms)) if arms else set()
    table = [[value(run) for run in arm.studies if run.repeat in shared] for arm in arms]
    return dict(zip((arm.label for arm in arms), average_ranks(table), strict=True))


def _family(pairs: list[tuple[Arm, Arm]], value: Callable[[ArmStudy], float], sign: float) -> tuple[Versus, ...]:
    """The comparisons of these pairs, their p values corrected for being so many."""
    compared = [(mine, other, *_shared_runs(mine, other)) for mine, other in pairs]
    compared = [one for one in compared if one[2]]
    found = [paired([value(run) for run in mine], [value(run) for run in theirs]) for _, _, mine, theirs in compared]
    return tuple(
        Versus(
            arm=mine.label,
            other=other.label,
            found=one,
            p=p,
            needed=repeats_needed(one, len(found)),
            speed_up=_speed_up(my_runs, their_runs, sign),
            wins=share_of_wins([value(run) for run in mine.studies], [value(run) for run in other.studies]),
        )
        for (mine, other, my_runs, their_runs), one, p in zip(
            compared, found, holm([one.p for one in found]), strict=True
        )
    )


def _shared_runs(mine: Arm, other: Arm) -> tuple[list[ArmStudy], list[ArmStudy]]:
    theirs = {run.repeat: run for run in other.studies}
    return (
        [run for run in mine.studies if run.repeat in theirs],
        [theirs[run.repeat] for run in mine.studies if run.repeat in theirs],
    )


def _speed_up(mine: list[ArmStudy], theirs: list[ArmStudy], sign: float) -> SpeedUp:
    """To the other's final validation value in the same repeat."""
    needed = [
        _epochs_to(run, other.curve.values[-1], sign) if other.curve.values else None
        for run, other in zip(mine, theirs, strict=True)
    ]
    return speed_up(needed, [run.curve.epochs[-1] if run.curve.epochs else None for run in theirs])


def _epochs_to(run: ArmStudy, target: float, sign: float) -> float | None:
    """Epochs that the study had trained when its best value was the target or better."""
    for epochs, value in zip(run.curve.epochs, run.curve.values, strict=True):
        if sign * value >= sign * target:
            return epochs
    return None
