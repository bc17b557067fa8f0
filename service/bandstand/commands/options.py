"""Options that several commands have, each with its help in one place.

Knows names and help. Must not know what a command does with a value.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

__all__ = [
    "AsJson",
    "CodeMayDiffer",
    "ComparisonName",
    "DataMayDiffer",
    "Strategies",
    "StudyName",
    "StudyOrComparisonName",
    "Trial",
    "Workers",
    "workers_option",
]


def workers_option(
    least: int | None = None, default: str | None = "as many as fit"
) -> Any:  # as `typer.Option` is typed
    """`--workers`; `least` where the command does not check the number itself, `default` in words where it is none."""
    text = "Number of trainers that work at the same time."
    return typer.Option("--workers", "-w", min=least, help=text, show_default=default or True)


Workers = Annotated[int | None, workers_option()]
StudyName = Annotated[str, typer.Argument(help="Name of the study, as `bandstand list` shows it.")]
StudyOrComparisonName = Annotated[
    str, typer.Argument(help="Name of the study or comparison, as `bandstand list` shows it.")
]
Trial = Annotated[int | None, typer.Option(help="Number of the trial. Default: the best trial.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Strategies = Annotated[
    list[str] | None,
    typer.Option(
        help="Strategies to compare, with commas between them, such as tpe+asha,hyperband,pbt. Without +PRUNER, no "
        "trial is pruned. (In a study file the default is asha.) Default: the study's strategy. Random and grid "
        "search always take part."
    ),
]
ComparisonName = Annotated[str | None, typer.Option("--as", help="Name of the comparison. Default: NAME-comparison.")]
CodeMayDiffer = Annotated[
    bool,
    typer.Option(
        "--code-may-differ",
        help="Continue, or show the result, even if the code of the model, the data or the callbacks has changed since "
        "the study was trained. Reports then say so.",
    ),
]
DataMayDiffer = Annotated[
    bool,
    typer.Option(
        "--data-may-differ",
        help="Continue even if a trainer's data differ from those of the study's first trainer. Reports then say so.",
    ),
]
