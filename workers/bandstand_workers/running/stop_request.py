"""The wish that a process of workers pauses what it runs.

Knows whether it was made, and how long trials may take then. Must not know who made it.
"""

from __future__ import annotations

import threading

from bandstand_workers.coordinator.signals import STOP_GRACE_SECONDS

__all__ = ["StopRequest"]


class StopRequest(threading.Event):
    """Set once the running study is to pause, and the process to end."""

    def __init__(self) -> None:
        super().__init__()
        self.grace_seconds = STOP_GRACE_SECONDS
        """How long trials may take to come to the end of their epochs; set before the event is."""
