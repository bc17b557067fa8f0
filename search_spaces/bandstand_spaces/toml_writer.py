"""Writes TOML, which Python's tomllib only reads.

Just what plain data need: tables, lists of scalars, and scalars. Whatever is written here is read back by tomllib as
the same data with the same types; a float keeps every bit.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_CONTROLS = {chr(code): f"\\u{code:04x}" for code in (*range(0x20), 0x7F)}
_TRANSLATION = str.maketrans(_CONTROLS | _ESCAPES)


def make_toml(document: Mapping[str, Any]) -> str:
    """`document` as TOML text; scalars before tables, as TOML demands, each group in its own order.

    Raises:
        ValueError: a value is neither a table, a list of scalars nor a scalar, or is not finite.
    """
    return "\n".join(_lines(document, ())).strip("\n") + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    scalars = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    # A table that only holds tables needs no header of its own; an empty one would vanish without it.
    if path and (scalars or not table):
        yield f"\n[{'.'.join(map(_key, path))}]"
    for key, value in scalars.items():
        yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _lines(value, (*path, key))


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value.translate(_TRANSLATION)}"'
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return f"[{', '.join(map(_value, value))}]"
    raise ValueError(
        f"TOML text is written from finite numbers, strings, booleans, lists and tables; got {value!r}; convert it"
    )
