"""Failed logins are counted by address, so that nobody can try tokens one after the other.

Knows addresses and moments. Must not know what was tried.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import deque

__all__ = ["FailedLogins"]

_WINDOW_SECONDS = 60.0
_MOST_ADDRESSES = 10_000


class FailedLogins:
    """Counts over the last minute, in this process."""

    def __init__(self, per_minute: int):
        self._per_minute = per_minute
        self._failed: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def seconds_to_wait(self, address: str) -> float:
        """Until another attempt is let through; 0 if it is now."""
        now = time.monotonic()
        with self._lock:
            moments = self._recent(_network(address), now)
            return 0.0 if len(moments) < self._per_minute else max(0.0, moments[0] + _WINDOW_SECONDS - now)

    def add(self, address: str) -> None:
        """One more has failed."""
        now = time.monotonic()
        with self._lock:
            if len(self._failed) >= _MOST_ADDRESSES:
                for other in list(self._failed):
                    self._recent(other, now)
            self._failed.setdefault(_network(address), deque(maxlen=self._per_minute)).append(now)

    def _recent(self, network: str, now: float) -> deque[float]:
        moments = self._failed.get(network, deque())
        while moments and moments[0] < now - _WINDOW_SECONDS:
            moments.popleft()
        if not moments:
            self._failed.pop(network, None)
        return moments


def _network(address: str) -> str:
    """The address; of IPv6 the network, since whoever has one address there has 2^64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address
