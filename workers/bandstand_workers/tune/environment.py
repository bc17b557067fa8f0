"""What Tune reads from the environment. Imports no Ray, which reads some of it when it is imported."""

from __future__ import annotations

import os

__all__ = ["prepare_tune"]


def prepare_tune() -> None:
    """Set what Tune reads from the environment; before Ray is started, whose processes inherit it."""
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # the user's code may read files beside it
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # PostgreSQL has all that they would write
    os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"  # an epoch without the metric is for Search to judge
    # Results travel in batches, at most one in so many seconds: Tune is slower than a small model's epochs.
    os.environ["TUNE_RESULT_BUFFER_LENGTH"] = "1000"
    os.environ["TUNE_RESULT_BUFFER_MIN_TIME_S"] = "0.2"
