"""What is told of a training that raised.

Knows errors of the user's code. Must not know what becomes of the trial.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Mapping
from typing import Any

from bandstand.study.study_spec import StudySpec
from bandstand_workers.messages import Failure
from bandstand_workers.training.user_code.errors import missing_param, said_with_place

__all__ = ["failure_from"]


def failure_from(error: Exception, spec: StudySpec, params: Mapping[str, Any]) -> Failure:
    """The failure of a trial with these params; one that asked for a param that is not active is told so."""
    failure = _failure_from(error)
    asked = missing_param(error, params, [name for name, _, _ in spec.space.flat()])
    return failure if asked is None else dataclasses.replace(failure, message=f"KeyError: {asked}")


def _failure_from(error: Exception) -> Failure:
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return Failure(
        kind="out_of_memory" if out_of_memory else "exception",
        message=said_with_place(error),
        cause=f"{type(error).__name__} at {place}",
        detail="".join(traceback.format_exception(error))[-20_000:],
    )
