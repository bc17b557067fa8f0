"""What of Optuna is not public, and a storage cannot do without: Optuna's storage interface itself is made of it.

The one place for it, so that a new Optuna is checked here.
"""

from __future__ import annotations

from optuna.storages._base import DEFAULT_STUDY_NAME_PREFIX
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial

__all__ = ["DEFAULT_STUDY_NAME_PREFIX", "ID_ATTRIBUTE", "FrozenStudy", "study_id_of", "trial_id_of"]

ID_ATTRIBUTE = "_trial_id"
"""Where a trial has its id."""


def study_id_of(study: FrozenStudy) -> int:
    """The id by which storages know a study; nothing public tells it."""
    return study._study_id


def trial_id_of(trial: FrozenTrial) -> int:
    """The id by which storages know a trial; nothing public tells it."""
    return trial._trial_id
