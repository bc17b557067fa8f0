"""Options that several commands have, each with its help in one place.

Knows names and help. Must not know what a command does with a value.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

__all__ = [
    "AsJson",
    "ComparisonName",
    "DataMayDiffer",
    "Strategies",
    "StudyName",
    "Trial",
    "Workers",
    "workers_option",
]


def workers_option(least: int | None = None) -> Any:  # as `typer.Option` is typed
    """`--workers`; `least` where the command does not check the number itself."""
    return typer.Option("--workers", "-w", min=least, help="Trainers at the same time; as many as fit when left out.")


Workers = Annotated[int | None, workers_option()]
StudyName = Annotated[str, typer.Argument(help="The study's name, as `bandstand list` shows it.")]
Trial = Annotated[int | None, typer.Option(help="The trial; the best one when left out.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON on standard output.")]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        help="SAMPLER+PRUNER with commas, such as tpe+asha,hyperband,pbt; else the study's. A sampler alone has no "
        "pruner, not asha as in a study file. Random and grid search are always among them."
    ),
]
ComparisonName = Annotated[
    str | None, typer.Option("--as", help="The comparison's name; NAME-comparison when left out.")
]
DataMayDiffer = Annotated[
    bool,
    typer.Option(
        "--data-may-differ", help="Go on where a trainer has other data than the study's first; the reports say so."
    ),
]
