"""What of Optuna is not public, and a storage cannot do without: Optuna's storage interface itself is made of it.

Knows Optuna 5.0. Must not know our storage. The one place for it, so that a new Optuna is checked here.
"""

from __future__ import annotations

from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial

__all__ = ["DEFAULT_STUDY_NAME_PREFIX", "ID_ATTRIBUTE", "FrozenStudy", "study_id_of", "trial_id_of"]
# Stands on the modules `storages._base` and `study._frozen`. If one goes, the storage does not import, and neither the
# mirror nor the dashboard's notes are written.

ID_ATTRIBUTE = "_trial_id"
"""The attribute in which a trial has its id. If it goes, trials that are written have none, and storages that look for
it raise errors."""


def study_id_of(study: FrozenStudy) -> int:
    """The id by which storages know a study; nothing public tells it. Stands on `_study_id`."""
    return study._study_id


def trial_id_of(trial: FrozenTrial) -> int:
    """The id by which storages know a trial; nothing public tells it. Stands on `_trial_id`."""
    return trial._trial_id
