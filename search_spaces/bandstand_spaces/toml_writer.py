"""Plain data as TOML text, which Python's tomllib only reads.

Knows which data TOML text is to hold; tomlkit writes them. Whatever is written here is read back by tomllib as the same
data with the same types; a float keeps every bit.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["make_toml"]


def make_toml(document: Mapping[str, Any]) -> str:
    """`document` as TOML text; scalars before tables, as TOML demands, each group in its own order.

    Raises:
        ValueError: a value is neither a table, a list of scalars nor a scalar, or is not finite.
    """
    import tomlkit  # takes twice as long to import as all spaces together, and few ask for text

    return tomlkit.dumps(_plain_table(document))


def _plain_table(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _plain_table(value) if isinstance(value, Mapping) else _plain_value(value) for key, value in table.items()
    }


def _plain_value(value: object) -> object:
    """A value in types that tomlkit knows."""
    if isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_plain_value(each) for each in value]
    raise ValueError(
        f"TOML text is written from finite numbers, strings, booleans, lists and tables; got {value!r}; convert it"
    )
