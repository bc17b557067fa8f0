"""What came out of a comparison's studies, as numbers.

Knows studies and their frames. Must not know what can be concluded from the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from bandstand.errors import StudyNotFoundError
from bandstand.report.records.timeline import BestCurve, make_best_curve, ordered_measurements
from bandstand.store.records import StudyRecord
from bandstand.store.store import Store
from bandstand.study.comparison_plan import ComparisonPlan, PlannedStudy
from bandstand.trials.events import TrialState

__all__ = ["Arm", "ArmStudy", "Results", "make_results", "read_results"]


class ArmStudy(NamedTuple):
    """One study of an arm."""

    study: str
    repeat: int
    state: str
    reason: str
    curve: BestCurve
    seconds: tuple[float, ...]
    """Training time, all workers together, that had been spent when the best changed; as long as `curve.epochs`."""
    best_value: float | None
    """On the validation data."""
    test_value: float | None
    """Of the chosen model on the test data, in the objective's metric."""
    best_params: Mapping[str, Any]
    trials: int
    failed_trials: int
    epochs: int
    train_seconds: float
    wall_seconds: float
    data: str | None
    """Fingerprint of the data that it trained with; None where none was taken."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A strategy and its runs, in the order of the repeats."""

    label: str
    studies: tuple[ArmStudy, ...]
    """Those that are finished."""
    failed: tuple[ArmStudy, ...]
    missing: int
    """Repeats that have not ended."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """A comparison as far as it has got. Compared by identity, as the records in it are."""

    plan: ComparisonPlan
    arms: tuple[Arm, ...]
    records: Mapping[str, StudyRecord]
    """Study name -> all that is known of it, for those that were begun."""

    @property
    def is_complete(self) -> bool:
        """Whether every study has ended."""
        return not any(arm.missing for arm in self.arms)

    def arm(self, label: str) -> Arm:
        """The arm of this label."""
        return next(arm for arm in self.arms if arm.label == label)

    @property
    def has_test(self) -> bool:
        """Whether every finished run was measured on the test data, in the objective's metric."""
        runs = [run for arm in self.arms for run in arm.studies]
        return bool(runs) and all(run.test_value is not None for run in runs)


def read_results(store: Store, plan: ComparisonPlan) -> Results:
    """What the store has of a comparison."""
    records = {}
    for planned in plan.studies():
        try:
            records[planned.spec.name] = store.record(planned.spec.name)
        except StudyNotFoundError:
            continue
    return make_results(plan, records)


def make_results(plan: ComparisonPlan, records: Mapping[str, StudyRecord]) -> Results:
    """The numbers in the records of a comparison's studies, those that were not begun left out."""
    planned = sorted(plan.studies(), key=lambda study: study.repeat)
    return Results(
        plan=plan,
        arms=tuple(_arm(arm.label, [each for each in planned if each.arm == arm.label], records) for arm in plan.arms),
        records=records,
    )


def _arm(label: str, planned: Sequence[PlannedStudy], records: Mapping[str, StudyRecord]) -> Arm:
    begun = [(each, records[each.spec.name]) for each in planned if each.spec.name in records]
    runs = [_run(each.repeat, record) for each, record in begun if record.state in ("finished", "failed")]
    finished = tuple(run for run in runs if run.state == "finished" and run.best_value is not None)
    failed = tuple(run for run in runs if run not in finished)
    return Arm(label=label, studies=finished, failed=failed, missing=len(planned) - len(runs))


def _run(repeat: int, record: StudyRecord) -> ArmStudy:
    spec, best, curve = record.spec, record.best, make_best_curve(record)
    spent = ordered_measurements(record)["seconds"].astype(float).fillna(0.0).cumsum()
    tested = (record.best_test_metrics or {}).get(spec.objective.metric.removeprefix("val_"))
    states = record.trials["state"]
    return ArmStudy(
        study=spec.name,
        repeat=repeat,
        state=record.state,
        reason=record.reason,
        curve=curve,
        seconds=tuple(float(spent[epochs]) for epochs in curve.epochs),
        best_value=best.value if best and curve.values else None,
        test_value=float(tested) if tested is not None and isfinite(tested) else None,
        best_params=dict(best.params) if best else {},
        trials=len(states),
        failed_trials=int((states == TrialState.FAILED).sum()),
        epochs=int(record.trials["epochs"].sum()),
        train_seconds=float(record.trials["seconds"].sum()),
        wall_seconds=record.wall_seconds,
        data=record.environment.get("data") or None,
    )
