"""Calls to an Optuna storage that the tests play on several storages."""

from __future__ import annotations

import math
from datetime import datetime

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

MINIMIZE = [StudyDirection.MINIMIZE]
DISTRIBUTIONS = {
    "rate": FloatDistribution(1e-5, 1.0, log=True),
    "momentum": FloatDistribution(0.0, 0.9, step=0.1),
    "units": IntDistribution(4, 64, step=4),
    "mixed": CategoricalDistribution([None, True, 1.5, "ä"]),
}
FLOATS = (0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan)


def play(storage: BaseStorage) -> None:
    """All that can be written, with values at the edges."""
    study = storage.create_new_study([StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE], "two objectives")
    for setter in (storage.set_study_user_attr, storage.set_study_system_attr):
        setter(study, "key", {"b": [1, None, math.nan], "ä": ("tuple",)})
        setter(study, "key", "overwritten")
        setter(study, "other", math.inf)
    asked = storage.create_new_trial(study)
    for name, value in (("units", 8.0), ("mixed", 3.0), ("rate", 0.1)):
        storage.set_trial_param(asked, name, value, DISTRIBUTIONS[name])
    storage.set_trial_param(asked, "rate", 0.7, DISTRIBUTIONS["rate"])
    for step, value in enumerate(FLOATS):
        storage.set_trial_intermediate_value(asked, step, value)
    storage.set_trial_intermediate_value(asked, 0, 7)
    for setter in (storage.set_trial_user_attr, storage.set_trial_system_attr):
        setter(asked, "a", [1.0, {"x": None}])
        setter(asked, "a", "again")
    assert storage.set_trial_state_values(asked, TrialState.RUNNING, [5.0, 6.0]) is False
    assert storage.set_trial_state_values(asked, TrialState.COMPLETE, [math.inf, -math.inf])
    params = {"mixed": None, "momentum": 0.3, "rate": 0.01, "units": 64}
    waiting = create_trial(state=TrialState.WAITING, params=params, distributions=DISTRIBUTIONS, user_attrs={"n": (1,)})
    ids = [storage.create_new_trial(study, waiting) for _ in range(5)]
    for trial_id in ids[1:]:
        storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    storage.set_trial_state_values(ids[2], TrialState.WAITING)
    storage.set_trial_state_values(ids[3], TrialState.PRUNED, [1, 2])
    storage.set_trial_state_values(ids[4], TrialState.FAIL)
    single = storage.create_new_study(MINIMIZE, "one objective")
    done = create_trial(
        value=3,
        params=params,
        distributions=DISTRIBUTIONS,
        intermediate_values={1: math.nan, 2: 1},
        system_attrs={"s": 1},
    )
    done.datetime_start = datetime(2022, 7, 1, 12, 30, 1, 234567)
    done.datetime_complete = datetime(2022, 12, 1, 12)
    storage.create_new_trial(single, done)
    storage.create_new_trial(single, create_trial(state=TrialState.FAIL))


def in_order(trial: optuna.trial.FrozenTrial) -> str:
    """A trial as text, in which NaN equals itself, and with the order of its params."""
    attrs = {name: sorted(value.items()) if "attrs" in name else value for name, value in vars(trial).items()}
    return repr(attrs | {"intermediate_values": sorted(trial.intermediate_values.items())})
