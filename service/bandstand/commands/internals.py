"""The private part of Typer that the command line stands on.

Knows Typer 0.18 to 0.29. Must not know commands.
"""

from __future__ import annotations

from typing import Any

import typer

__all__ = ["UsageError"]

UsageError: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "UsageError")
"""What is raised for a command line that cannot be understood: an unknown command or option, a missing or bad value.

Stands on the bases of `typer.BadParameter`. The class is Click's, and since version 0.26 of a Click that Typer carries
itself under a private name. If it is no base any more, `bandstand` does not start. If usage errors are of another
class, users see tracebacks.
"""
