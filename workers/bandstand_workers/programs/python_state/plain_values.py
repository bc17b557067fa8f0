"""Values that are nothing but themselves, taken in: numbers, arrays, what a text says all of.

Knows their text. Must not know what holds them.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np

from bandstand_workers.programs.python_state.walk import Walk

__all__ = ["array", "by_text", "named_only", "number", "pattern", "text_of_array", "ufunc"]


def number(walk: Walk, value: Any) -> None:
    """A number that stands before a variable of a program's, which is not the model's."""
    walk.tokens.append(f"float {float(value)!r}")


def array(walk: Walk, value: Any) -> None:
    """By value."""
    if type(value) is not np.ndarray and not isinstance(value, np.generic):
        walk.not_understood(value, "an array that may hold more than its values")
    walk.tokens.append(text_of_array(np.asarray(value)))
    if np.asarray(value).dtype.hasobject:
        for each in np.asarray(value).ravel():
            walk.visit(each)


def by_text(walk: Walk, value: Any) -> None:
    """What its text says all of."""
    walk.tokens.append(f"{type(value).__name__} {value!r}")


def pattern(walk: Walk, value: re.Pattern[Any]) -> None:
    """A regular expression."""
    walk.tokens.append(f"pattern {value.pattern!r} {value.flags}")


def ufunc(walk: Walk, value: Any) -> None:
    """By name, if it is NumPy's."""
    if getattr(np, value.__name__, None) is not value:
        walk.not_understood(value, "made of a function")
    walk.tokens.append(value.__name__)


def named_only(walk: Walk, value: Any) -> None:
    """What has no part in numbers."""
    walk.tokens.append(type(value).__name__)


def text_of_array(array: np.ndarray[Any, Any]) -> str:
    """Equal for equal arrays; of one that holds objects, kind and shape alone."""
    if array.dtype.hasobject:
        return f"array {array.dtype} {array.shape}"
    content = np.ascontiguousarray(array)
    small = content.nbytes <= 64
    data = content.tobytes().hex() if small else hashlib.blake2b(content.reshape(-1).view(np.uint8).data).hexdigest()
    return f"array {array.dtype} {array.shape} {data}"
