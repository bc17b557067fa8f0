"""Whether a request comes from a page of this server, by what the browser says.

Knows headers. Must not know what is asked for.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers

__all__ = ["is_same_origin"]


def is_same_origin(headers: Headers) -> bool:
    """Whether a browser says that a page of this server asked; what says nothing about it does not count.

    Sec-Fetch-Site is the browser's own judgement; where it is missing, the Origin's host must be the one asked.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")
