"""How a broken rule is said to a user: pydantic's errors as plain rules, and the known name that was probably meant.

Knows words. Must not know which setting a rule is about.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["did_you_mean", "rule_from"]

_RULES: Mapping[str, str] = MappingProxyType(
    {
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "int_parsing_size": "a whole number of fewer digits",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "float_parsing": "a number",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "string_type": "text",
        "list_type": "a list",
        "tuple_type": "a list",
        "dict_type": "a table",
        "mapping_type": "a table",
        "model_type": "a table",
        "model_attributes_type": "a table",
    }
)
"""By pydantic's names of errors; its words for others are plain enough."""


def rule_from(error: Mapping[str, Any]) -> str:
    """What one of the errors of a `ValidationError` asks for, to follow on `must be`."""
    kind = str(error["type"])
    if kind in ("too_short", "too_long"):
        context = error["ctx"]
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"a list of {bound}"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return _RULES.get(kind, message)


def did_you_mean(name: str, known: Iterable[str], after: str = ": ") -> str:
    """`did you mean NAME?`, led in by `after`, to follow on `got ...`; nothing where no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"{after}did you mean {near[0]}?" if near else ""
