"""Whether an object has methods of its own where Keras has some.

Knows classes and bound methods. Must not know what follows from one.
"""

from __future__ import annotations

from typing import Any

__all__ = ["overrides"]


def overrides(value: Any, base: type, method: str) -> bool:
    """Whether an object has another method of this name than a base class gives it; its class's, or the object's."""
    return getattr(getattr(value, method), "__func__", None) is not getattr(base, method)
