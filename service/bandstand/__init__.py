"""Bandstand: hyperparameter optimization for Keras.

    from bandstand import Budget, Float, Objective, SearchSpace, StudySpec, run_study

    study = StudySpec(name="mine", model="train:build", data="train:load", ...)
    result = run_study(study, workers=2)

Users need only the names below. Each is imported when it is first used, so `import bandstand` is quick and imports
neither TensorFlow nor Ray nor pandas. Keras callbacks and schedules are in `bandstand_workers`.

    problem      what a search needs to know of a study, and nothing of how its trials are trained
    trials       what happened to a study's trials: events, history, which is the best, what is spent
    strategies   samplers, pruners and whole policies: what to try next, and for how long
    search       decides (with these three a pure core: no clock, no database, no Ray)
    study        the spec, the file it stands in, and where a user's code is found
    store        keeps (PostgreSQL), with Optuna's own tables in step; `optuna_dashboard` shows them
    report       what a search was worth; `comparison` and `simulation` put it beside others
    running      starts workers and follows them
    submissions  what a server (`api`) is asked to run, by its users (`client`)
    commands     the command line

A package knows those above it in this list, and none below; docs/explanation/architecture.md draws it.

Training is not here: `bandstand_workers` does it, and is started by naming its entry point, never imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandstand.client import Client, RemoteComparison, RemoteStudy
    from bandstand.errors import (
        BandstandError,
        InputError,
        InternalError,
        PassingError,
        ServiceError,
        StudyFailedError,
        UserError,
    )
    from bandstand.problem.budget import Budget
    from bandstand.problem.objective import Objective
    from bandstand.running.run import StudyResult, run_study
    from bandstand.study.context import Context, DataFacts
    from bandstand.study.study_spec import Resources, StudySpec
    from bandstand_spaces import Categorical, Float, Int, SearchSpace

__all__ = [
    "BandstandError",
    "Budget",
    "Categorical",
    "Client",
    "Context",
    "DataFacts",
    "Float",
    "InputError",
    "Int",
    "InternalError",
    "Objective",
    "PassingError",
    "RemoteComparison",
    "RemoteStudy",
    "Resources",
    "SearchSpace",
    "ServiceError",
    "StudyFailedError",
    "StudyResult",
    "StudySpec",
    "UserError",
    "run_study",
]

_HOMES = {
    "bandstand.client": ("Client", "RemoteComparison", "RemoteStudy"),
    "bandstand.errors": (
        "BandstandError",
        "InputError",
        "InternalError",
        "PassingError",
        "ServiceError",
        "StudyFailedError",
        "UserError",
    ),
    "bandstand.running.run": ("StudyResult", "run_study"),
    "bandstand.study.context": ("Context", "DataFacts"),
    "bandstand.problem.budget": ("Budget",),
    "bandstand.problem.objective": ("Objective",),
    "bandstand.study.study_spec": ("Resources", "StudySpec"),
    "bandstand_spaces": ("Categorical", "Float", "Int", "SearchSpace"),
}


def __getattr__(name: str) -> Any:
    """Import on demand: `run_study` brings the database with it, `StudySpec` every strategy; a space needs neither."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'bandstand' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
