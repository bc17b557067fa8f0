"""The params of recorded trials, with the types of the search space.

A frame turns the integers of a parameter that is not always there into floats, and its gaps into NaN; here they turn
back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from bandstand.store.records import StudyRecord
from bandstand_spaces import Categorical, Int, Parameter, Value

__all__ = ["condition_text", "params_by_trial"]


_TOLD: WeakKeyDictionary[StudyRecord, dict[int, dict[str, Value]]] = WeakKeyDictionary()


def params_by_trial(record: StudyRecord) -> Mapping[int, Mapping[str, Value]]:
    """Trial number -> its params; only those that were active, in the space's order. Several figures ask for them."""
    if record not in _TOLD:
        _TOLD[record] = _params_of(record)
    return _TOLD[record]


def _params_of(record: StudyRecord) -> dict[int, dict[str, Value]]:
    numbers = [int(number) for number in record.trials["number"]]
    params: dict[int, dict[str, Value]] = {number: {} for number in numbers}
    for name, parameter, _ in record.spec.space.flat():
        column = record.trials[f"params_{name}"]
        for number, raw, missing in zip(numbers, column.tolist(), column.isna(), strict=True):
            if not missing:
                params[number][name] = _value_from(parameter, raw)
    return params


def condition_text(condition: tuple[tuple[str, Value], ...]) -> str:
    """`optimizer = sgd`: when a parameter exists; empty if it always does."""
    return " and ".join(f"{name} = {choice}" for name, choice in condition)


def _value_from(parameter: Parameter, raw: Any) -> Value:
    if isinstance(parameter, Categorical):
        return next((choice for choice in parameter.choices if choice == raw), str(raw))
    return int(raw) if isinstance(parameter, Int) else float(raw)
