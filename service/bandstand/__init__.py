"""Bandstand's service: what a study is, what it decides, where it is kept, how it is shown.

`study` says what may be asked, `search` with `strategies` decides (a pure core: no clock, no database, no Ray), `store`
keeps (PostgreSQL, beside Optuna's own tables), `run` starts workers and waits, `report` and `live` show, `cli` is the
command line. Training is not here: `bandstand_workers` does it, and is started by naming its entry point, never imported. So
whatever imports `bandstand` starts without TensorFlow and without Ray.

    from bandstand import StudySpec, run_study
    result = run_study(StudySpec(name="mine", model="train:build", data="train:load", ...), workers=2)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bandstand.run import StudyResult, run_study
    from bandstand.study import Budget, Objective, Resources, StudySpec

__all__ = ["Budget", "Objective", "Resources", "StudyResult", "StudySpec", "run_study"]

_HOMES = {"StudyResult": "run", "run_study": "run"}


def __getattr__(name: str) -> Any:
    """Import on demand: `run` brings the database with it, `study` every strategy; `bandstand --help` needs neither."""
    if name not in __all__:
        raise AttributeError(f"module 'bandstand' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"bandstand.{_HOMES.get(name, 'study')}"), name)
