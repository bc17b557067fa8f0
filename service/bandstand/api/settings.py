"""What may be set of a server."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ServerSettings"]


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Settings of one server process."""

    requests_per_second: float = 100.0
    """Of one token, on average; ten times as many at once."""
    failures_per_minute: float = 60.0
    """Requests with wrong tokens from one address, after which it has to wait."""
    logins_per_minute: int = 10
    """Failed ones from one address, after which it has to wait."""
    session_hours: float = 12.0
    """How long a browser stays logged in."""
    secure_cookies: bool = False
    """Whether browsers may send the cookie by HTTPS only: wherever the server is reached by HTTPS."""
    body_seconds: float = 30.0
    """That the body of a request may take; longer if more than 10 kB/s have arrived."""
    reports_at_once: int = 2
    """Reports that are written at the same time, each in a process of its own."""
    event_streams: int = 500
    """Readers of server-sent events at the same time."""
