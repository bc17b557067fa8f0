"""Whether an object has methods of its own where Keras has some.

Knows classes and bound methods. Must not know what follows from one.
"""

from __future__ import annotations

from typing import Any

__all__ = ["overrides"]


def overrides(value: Any, base: type, *methods: str) -> bool:
    """Whether an object has, by its class or by itself, another method of one of these names than a base class has."""
    return any(getattr(getattr(value, each), "__func__", None) is not getattr(base, each) for each in methods)
