"""Whom the running of studies tells what happens."""

from __future__ import annotations

from collections.abc import Callable

from bandstand.running.messages import Message

__all__ = ["Tell"]

Tell = Callable[[Message], None]
"""Takes a message, in the thread that runs the studies."""
