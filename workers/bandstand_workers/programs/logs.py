"""Numbers among what Keras calls logs.

Knows arrays of any backend. Must not know what a log is of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["numbers_of", "sizes_of_arrays"]


def numbers_of(logs: Mapping[str, Any] | None) -> dict[str, float]:
    """The logs that are one number each, be it in an array, such as an F1 score of one class; others are left out."""
    return {name: float(np.asarray(value).reshape(())) for name, value in (logs or {}).items() if np.size(value) == 1}


def sizes_of_arrays(logs: Mapping[str, Any]) -> dict[str, int]:
    """How many numbers each of the logs has that is not one number."""
    return {name: np.size(value) for name, value in logs.items() if np.size(value) != 1}
