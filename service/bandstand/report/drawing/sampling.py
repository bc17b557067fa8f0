"""Which trials are drawn where a study has more than a picture can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["sample_best_and_evenly", "sample_evenly"]

Item = TypeVar("Item")


def sample_evenly(items: Sequence[Item], limit: int) -> list[Item]:
    """At most `limit` of `items`, in their order, the first and the last among them."""
    if len(items) <= limit:
        return list(items)
    if limit < 2:
        return list(items[:limit])
    return [items[round(index * (len(items) - 1) / (limit - 1))] for index in range(limit)]


def sample_best_and_evenly(ranked: Sequence[Item], limit: int) -> list[Item]:
    """At most `limit` of `ranked` (the best first): a quarter are the best, the others are spread over the ranks."""
    if len(ranked) <= limit:
        return list(ranked)
    best = max(1, limit // 4)
    return [*ranked[:best], *sample_evenly(ranked[best:], limit - best)]
