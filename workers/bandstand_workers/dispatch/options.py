"""What may be asked of a dispatcher, as its command line says it.

Nothing secret: whoever is on the machine can read command lines.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["DispatcherOptions"]


@dataclass(frozen=True, kw_only=True)
class DispatcherOptions:
    """Limits of one dispatcher."""

    per_user: int = 4
    """Submissions of one user that may run at the same time, on all servers together."""
    at_once: int | None = None
    """Submissions of this server that may run at the same time; None: no limit on a cluster, the cores locally."""
    stop_grace_seconds: float = 120.0
    """That a stopped job has for pausing by itself, before Ray is asked to end it."""

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> DispatcherOptions:
        """Read a command line; one that makes no sense ends the process."""
        parser = argparse.ArgumentParser(prog="python -m bandstand_workers dispatch")
        parser.add_argument("--per-user", type=int, default=cls.per_user)
        parser.add_argument("--at-once", type=int, default=cls.at_once)
        parser.add_argument("--stop-grace-seconds", type=float, default=cls.stop_grace_seconds)
        return cls(**vars(parser.parse_args(arguments)))
