"""The forms in which Optuna's tables hold attributes, numbers, datetimes and distributions.

Pure functions. What they make is what `RDBStorage` would have made, and what they read is what it would have read.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution

__all__ = [
    "attribute_from_json",
    "attribute_to_json",
    "columns_from_intermediate",
    "columns_from_value",
    "distribution_from_json",
    "distribution_to_json",
    "local_from_utc",
    "number_from_columns",
    "utc_from_local",
]

_SPECIAL = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}


def attribute_to_json(value: Any) -> str:
    """An attribute's text.

    Raises:
        TypeError: JSON cannot say it.
    """
    return json.dumps(value)


def attribute_from_json(text: str) -> Any:
    """The attribute that a text says; tuples have become lists, keys texts."""
    return json.loads(text)


def columns_from_value(value: float) -> tuple[float | None, str]:
    """An objective value as (value, value_type). NaN is stored as it is: Optuna refuses it before it gets here."""
    if value == math.inf:
        return None, "INF_POS"
    if value == -math.inf:
        return None, "INF_NEG"
    return float(value), "FINITE"


def columns_from_intermediate(value: float) -> tuple[float | None, str]:
    """An intermediate value as (intermediate_value, intermediate_value_type)."""
    return (None, "NAN") if math.isnan(value) else columns_from_value(value)


def number_from_columns(value: float | None, value_type: str) -> float:
    """The number that a pair of columns holds, of either table."""
    return _SPECIAL[value_type] if value is None else value


def utc_from_local(moment: datetime | None) -> datetime | None:
    """Optuna shows naive local time and stores naive UTC."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def local_from_utc(moment: datetime | None) -> datetime | None:
    """The reverse of `utc_from_local`."""
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


@lru_cache(maxsize=4096)
def distribution_from_json(text: str) -> BaseDistribution:
    """A distribution; trials of a study share one object, because thousands hold the same few texts."""
    return json_to_distribution(text)
