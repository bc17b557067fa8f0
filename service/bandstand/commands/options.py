"""Options that several commands have, each with its help in one place.

Knows names and help. Must not know what a command does with a value.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

__all__ = ["Workers", "workers_option"]


def workers_option(**limits: Any) -> Any:
    """`--workers`; `limits` as of `typer.Option`, where the command does not check the number itself."""
    return typer.Option("--workers", "-w", help="Trainers at the same time; as many as fit when left out.", **limits)


Workers = Annotated[int | None, workers_option()]
