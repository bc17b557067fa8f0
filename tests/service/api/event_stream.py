"""Server-sent events as a client reads them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx


def events_of(response: httpx.Response) -> Iterator[dict[str, str]]:
    """Each by its fields; comments are left out."""
    event: dict[str, str] = {}
    for line in response.iter_lines():
        if not line and event:
            yield event
            event = {}
        elif not line.startswith(":"):
            key, _, value = line.partition(": ")
            event[key] = value
