"""Tokens that were good a moment ago, so that not every request has to ask the database.

Knows how long that holds: who is revoked is let in for a second more. Must not know how tokens are kept.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict

from fastapi.concurrency import run_in_threadpool

from bandstand.api.bounded_mapping import keep_latest
from bandstand.store.accounts import Accounts, TokenRecord

__all__ = ["KnownTokens"]

_SECONDS = 1.0
_REMEMBERED = 10_000


class KnownTokens:
    """The good tokens of the last second, by a digest of what was sent. For one event loop."""

    def __init__(self, accounts: Accounts):
        self._accounts = accounts
        self._known: OrderedDict[bytes, tuple[float, TokenRecord]] = OrderedDict()

    async def find(self, text: str) -> TokenRecord | None:
        """As `Accounts.find`, at most a second late."""
        key = hashlib.sha256(text.encode()).digest()
        looked_at, found = self._known.get(key, (float("-inf"), None))
        if time.monotonic() - looked_at < _SECONDS:
            return found
        now = time.monotonic()
        found = await run_in_threadpool(self._accounts.find, text)
        if found is None:
            self._known.pop(key, None)
        else:
            keep_latest(self._known, key, (now, found), _REMEMBERED)
        return found
