"""The values that requests and answers share: names, numbers, what a page of a list is.

Knows what may stand in a path or in JSON. Must not know what it is for.
"""

from __future__ import annotations

from math import isfinite
from typing import Annotated, Any

from fastapi import HTTPException, Path, Query
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from bandstand.errors import InputError
from bandstand.study.study_spec import NAME_LIMIT

__all__ = [
    "Limit",
    "Name",
    "Number",
    "Sha256",
    "Sha256InPath",
    "Storable",
    "TextOrEmpty",
    "check_new_name",
]

_SUFFIXES = (
    "best", "code", "enqueue", "events", "extend", "live", "logs", "report", "resume", "stop", "trials",
)  # fmt: skip
"""What follows a name in the paths of routes and pages."""


def _check_name(name: str) -> str:
    """What no study can be called is no name; PostgreSQL would not even take all of it."""
    # An InputError is a ValueError, which FastAPI would answer as a form that is filled in wrongly: 422.
    if not name or not name.isprintable() or len(name) > NAME_LIMIT:
        raise HTTPException(404, f"a name must have 1 to {NAME_LIMIT} printable characters; got {name[:120]!r}")
    return name


Name = Annotated[
    str,
    Path(description="Name of the study or comparison. It may hold slashes.", examples=["digits"]),
    AfterValidator(_check_name),
]


def check_new_name(name: str) -> None:
    """Refuse a name that could not be asked for again.

    Raises:
        InputError: it does not fit into a path.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise InputError(f"name must not have empty parts, . or .. between slashes; got {name!r}: leave them out")
    if parts[-1] in _SUFFIXES:
        raise InputError(
            f"the last part of a name must not be a word of the server's own paths ({', '.join(_SUFFIXES)}); got "
            f"{name!r}: choose another name"
        )


def _storable(value: Any) -> Any:
    """As it is, if PostgreSQL and JSON can hold its texts."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("must hold complete characters; got half of a surrogate pair") from None
        if "\0" in value:
            raise ValueError("must not hold the character NUL")
    elif isinstance(value, float) and not isfinite(value):
        raise ValueError(f"must hold finite numbers; got {value}")
    elif isinstance(value, dict):
        for key, item in value.items():
            _storable(key)
            _storable(item)
    elif isinstance(value, list):
        for item in value:
            _storable(item)
    return value


Storable = BeforeValidator(_storable)
"""Refuses texts that cannot be kept, anywhere in a value."""


def _json_number(value: float) -> float | str:
    return value if isfinite(value) else {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")


Number = Annotated[
    float,
    PlainSerializer(_json_number),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]}),
]
"""A number that need not be finite: JSON has no word for the others, so they are strings that `float` reads."""

TextOrEmpty = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
"""A text in JSON, empty for None: programs that read these answers expect a text."""

Limit = Annotated[int, Query(ge=1, le=200, description="Largest number of entries on a page.")]
_DIGEST: dict[str, Any] = {
    "min_length": 64, "max_length": 64, "pattern": "^[0-9a-f]{64}$", "examples": ["0123456789abcdef" * 4],
}  # fmt: skip
Sha256 = Annotated[str, Field(**_DIGEST)]
Sha256InPath = Annotated[str, Path(description="SHA-256 of the archive.", **_DIGEST)]
