"""The study that a simulation runs: a user's, or one made for recorded curves.

Knows what curves replace in a study, and says so. Must not know how a study is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from bandstand.errors import InputError
from bandstand.simulation.learning_curves.curves import CurveSource
from bandstand.study.budget_text import budget_from
from bandstand.study.study_spec import StudySpec, study_spec_from

__all__ = ["FULL_TRAININGS_A_WORKER", "SimulatedStudy", "make_study"]

FULL_TRAININGS_A_WORKER = 2
"""The budget where nobody gives one."""


class SimulatedStudy(NamedTuple):
    """A study and what was changed to simulate it."""

    spec: StudySpec
    notes: tuple[str, ...]


def make_study(
    file: StudySpec | None,
    source: CurveSource,
    *,
    workers: int,
    budget: Sequence[str] = (),
    max_epochs: int | None = None,
    seed: int | None = None,
) -> SimulatedStudy:
    """The study to simulate.

    Args:
        file: the user's; may be left out where the curves bring a space along.
        source: the curves.
        workers: how many there are, for the budget where nobody gives one.
        budget: replaces the study's; see `budget_from`.
        max_epochs: replaces the study's.
        seed: replaces the study's.

    Raises:
        InputError: a rule is broken.
    """
    spec, notes = _from_curves(file, source) if source.setting is not None else _with_made_up_curves(file, source)
    if max_epochs is not None:
        _check_recorded(max_epochs, source)
        spec["max_epochs"] = max_epochs
    if seed is not None:
        spec["seed"] = seed
    if budget:
        spec["budget"] = budget_from(budget)
    elif not spec.get("budget"):
        epochs = FULL_TRAININGS_A_WORKER * spec["max_epochs"] * workers
        spec["budget"] = {"epochs": epochs}
        notes.append(
            f"No budget was given, so each study gets {epochs:,} epochs ({FULL_TRAININGS_A_WORKER} full trainings per "
            "worker)."
        )
    return SimulatedStudy(study_spec_from(spec, file.name if file else source.name), tuple(notes))


def _from_curves(file: StudySpec | None, source: CurveSource) -> tuple[dict[str, Any], list[str]]:
    """The settings of a study whose space and objective are those of recorded curves, and what is to be said of it."""
    setting = source.setting
    assert setting is not None
    recorded = {"name": source.name, "model": "recorded:curves", "data": "recorded:curves"}
    spec: dict[str, Any] = file.model_dump() if file else recorded
    limit = spec.get("max_epochs", setting.max_epochs)
    spec |= {"space": setting.space, "objective": setting.objective.model_dump(), "batch_size": 32}
    spec["max_epochs"] = min(limit, setting.max_epochs)
    notes = list(setting.notes)
    if file:
        shorter = f" The curves have {setting.max_epochs} of its {limit} epochs." if limit > setting.max_epochs else ""
        notes.append(
            f"The space and the objective of study {file.name} are replaced by those of {source.name}, for which "
            f"curves were recorded.{shorter}"
        )
    return spec, notes


def _with_made_up_curves(file: StudySpec | None, source: CurveSource) -> tuple[dict[str, Any], list[str]]:
    """The settings of a user's study, and what is to be said of its curves.

    Raises:
        InputError: there is no study.
    """
    if file is None:
        raise InputError(
            f"--curves {source.name} needs a study; got none: name a study file or a built-in study, such as "
            "`bandstand simulate digits_mlp`"
        )
    note = (
        "The curves are made up: they show what a strategy does with workers and budget, not what your model will "
        "reach."
    )
    return file.model_dump(), [note]


def _check_recorded(max_epochs: int, source: CurveSource) -> None:
    """Refuse more epochs than were recorded.

    Raises:
        InputError: they are more.
    """
    if source.setting is not None and max_epochs > source.setting.max_epochs:
        raise InputError(
            f"max_epochs must be at most {source.setting.max_epochs}, which is what {source.name} recorded; "
            f"got {max_epochs}"
        )
