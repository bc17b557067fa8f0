"""Numbers among what Keras calls logs.

Knows arrays of any backend. Must not know what a log is of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["UnstorableNameError", "check_names", "numbers_of", "sizes_of_arrays"]

_LONGEST_NAME = 1000


def numbers_of(logs: Mapping[str, Any] | None) -> dict[str, float]:
    """The logs that are one number each, be it in an array, such as an F1 score of one class; others are left out."""
    return {name: float(np.asarray(value).reshape(())) for name, value in (logs or {}).items() if np.size(value) == 1}


class UnstorableNameError(ValueError):
    """A metric has a name that a database cannot hold."""


def check_names(metrics: Mapping[str, float]) -> None:
    """See that every metric's name can be stored.

    Raises:
        UnstorableNameError: one cannot.
    """
    for name in metrics:
        why = _why_unstorable(name)
        if why is not None:
            raise UnstorableNameError(
                f"a metric's name must be text that PostgreSQL can store; {ascii(name)[:100]} {why}: rename the metric"
            )


def _why_unstorable(name: object) -> str | None:
    if not isinstance(name, str):
        return f"is of type {type(name).__name__}"
    if "\0" in name:
        return "contains a NUL character"
    if len(name) > _LONGEST_NAME:
        return f"has {len(name):,} characters, and {_LONGEST_NAME:,} are allowed"
    try:
        name.encode()
    except UnicodeEncodeError:
        return "contains half of a surrogate pair"
    return None


def sizes_of_arrays(logs: Mapping[str, Any]) -> dict[str, int]:
    """How many numbers each of the logs has that is not one number."""
    return {name: np.size(value) for name, value in logs.items() if np.size(value) != 1}
