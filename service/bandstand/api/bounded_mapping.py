"""Mappings that keep what was last put into them, so that whoever asks cannot make a server remember ever more."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

__all__ = ["keep_latest"]

Key = TypeVar("Key")
Value = TypeVar("Value")


def keep_latest(kept: OrderedDict[Key, Value], key: Key, value: Value, most: int) -> None:
    """Put a value in as the latest; where there are more than `most` then, the one put in longest ago goes."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
