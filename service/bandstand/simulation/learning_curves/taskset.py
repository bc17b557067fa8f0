"""Learning curves of TaskSet: 1,000 recorded settings of Adam for each of a few recurrent text models.

Knows the recordings. Must not know searches or time.

TaskSet (Metz et al., Using a Thousand Optimization Tasks to Learn Hyperparameter Search Strategies, 2020) evaluated
each setting at 51 points of its training; the first is the network before it, so an epoch here is the way to one of the
other 50. A sampler may ask for any point of the 8-dimensional space: it is given the curve of the nearest recorded
setting, by Euclidean distance in the unit cube of logarithms. All eight are logarithmic in TaskSet, the betas as their
distance from 1, under the names one_minus_beta1 and one_minus_beta2. A training that diverged is NaN from there on, as
recorded. Durations were not recorded: an epoch takes equally long whatever the setting, as Adam does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bandstand.problem.objective import Objective
from bandstand.simulation.learning_curves.curves import RecordedCurve, Setting
from bandstand.simulation.learning_curves.sources import choose, data_files
from bandstand.simulation.learning_curves.unit_cube import fraction_of
from bandstand_spaces import Float, SearchSpace

__all__ = ["TaskSetSource", "make_source"]

EPOCHS = 50
_METRIC = "val_loss"
_SPACE = SearchSpace(
    {
        "learning_rate": Float(1e-8, 1e1, log=True),
        "one_minus_beta1": Float(1e-4, 1.0, log=True),
        "one_minus_beta2": Float(1e-6, 1.0, log=True),
        "epsilon": Float(1e-10, 1e3, log=True),
        "l1": Float(1e-8, 1e1, log=True),
        "l2": Float(1e-8, 1e1, log=True),
        "linear_decay": Float(1e-7, 1e-4, log=True),
        "exponential_decay": Float(1e-6, 1e-3, log=True),
    }
)
"""TaskSet's family adam8p; all recorded settings lie within."""


class TaskSetSource:
    """One task of TaskSet, as source and as curves: there is one problem, whatever the seed."""

    def __init__(self, task: str, folder: Path, epoch_seconds: float):
        """Reads the recordings."""
        names = sorted(path.stem for path in folder.glob("*.json"))
        self.name = f"taskset:{choose('taskset', task, names)}"
        self.setting: Setting | None = Setting(
            space=_SPACE,
            objective=Objective(metric=_METRIC, direction="minimize"),
            max_epochs=EPOCHS,
            notes=(
                "TaskSet has 1,000 recorded settings. A point of the space gets the curve of the nearest setting, and "
                "every epoch takes the same time.",
            ),
        )
        records = json.loads((folder / f"{task}.json").read_text())  # NaN is read as such
        self.settings: list[dict[str, float]] = [_params_from(record["hp"]) for record in records]
        self.losses = np.array([record["valid"]["loss"] for record in records], dtype=float)[:, 1:]
        """Validation losses: a row for each setting, a column for each epoch."""
        self._epoch_seconds = epoch_seconds
        seconds = [epoch_seconds] * EPOCHS
        self._curves = [RecordedCurve(_METRIC, losses.tolist(), seconds) for losses in self.losses]
        self._points = np.array([_point_of(params) for params in self.settings])

    def curves(self, space: SearchSpace, objective: Objective, max_epochs: int, seed: int) -> TaskSetSource:
        """As `CurveSource.curves`."""
        return self

    def open(self, params: Mapping[str, Any], seed: int) -> RecordedCurve:
        """As `Curves.open`: the nearest recorded setting's."""
        return self._curves[self.nearest(params)]

    def pool(self, size: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """As `PoolSource.pool`: all that were recorded."""
        return self.losses, np.full_like(self.losses, self._epoch_seconds)

    def nearest(self, params: Mapping[str, Any]) -> int:
        """The index of the recorded setting nearest to `params`."""
        return int(np.square(self._points - _point_of(params)).sum(axis=1).argmin())


def _params_from(recorded: Mapping[str, float]) -> dict[str, float]:
    """The recorded setting under the names of the space."""
    betas = {"one_minus_beta1": 1.0 - recorded["beta1"], "one_minus_beta2": 1.0 - recorded["beta2"]}
    return {name: betas[name] if name in betas else float(recorded[name]) for name in _SPACE.parameters}


def _point_of(params: Mapping[str, Any]) -> list[float]:
    return [fraction_of(parameter, params[name]) for name, parameter in _SPACE.parameters.items()]


def make_source(name: str, epoch_seconds: float) -> TaskSetSource:
    """The task `name`.

    Raises:
        InputError: there is no such task, or its files are not there.
    """
    return TaskSetSource(name, data_files("taskset"), epoch_seconds)
