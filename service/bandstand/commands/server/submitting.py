"""`bandstand submit`, `submit-comparison`, `watch` and `logs`: studies that a server runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bandstand.commands.options import ComparisonName, Strategies, StudyOrComparisonName, workers_option
from bandstand.commands.server.choice import TokenFile, Url

__all__ = ["logs", "submit", "submit_comparison", "watch"]

File = Annotated[
    str, typer.Argument(help="A study file (study.toml), a Python object (train.py:study) or a built-in study.")
]
Code = Annotated[
    Path | None,
    typer.Option(
        help="Folder to send as the study's code. Default: the Python files in the same folder as the study's "
        "modules. Installed packages are not sent.",
        show_default=False,
    ),
]
Workers = Annotated[int | None, workers_option(least=1)]
Priority = Annotated[int, typer.Option(help="Submissions with a higher number run sooner.")]
Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label", help="Label key=value. Only nodes with this label run the submission. Can be given several times."
    ),
]

Watch = Annotated[bool, typer.Option("--watch", help="Show the progress until the submission ends.")]


def submit(
    file: File,
    code: Code = None,
    workers: Workers = None,
    priority: Priority = 0,
    label: Labels = None,
    follow: Watch = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> int:
    """Submit a study to a server. Submitting it again has no effect."""
    from bandstand.commands.server.server_from_options import open_client
    from bandstand.study.find_study import find_study

    labels = labels_from(label or [])
    found = find_study(file)
    with open_client(url, token_file) as client:
        study = client.submit(
            found.spec,
            code=code,
            workers=workers,
            priority=priority,
            labels=labels,
            code_path=found.code_path,
            say=_say,
        )
        if follow:
            return _exit_code(study.watch())
        typer.echo(f"{study.name}: {study.state} on {client.url}; `bandstand watch` shows its progress")
    return 0


def submit_comparison(
    file: File,
    strategies: Strategies = None,
    repeats: Annotated[int, typer.Option(min=1, help="Number of studies per strategy, each with its own seed.")] = 5,
    as_name: ComparisonName = None,
    code: Code = None,
    workers: Workers = None,
    priority: Priority = 0,
    label: Labels = None,
    follow: Watch = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> int:
    """Submit a comparison of strategies to a server.

    Submitting it again with more strategies or repeats extends it.
    """
    from bandstand.commands.server.server_from_options import open_client
    from bandstand.study.find_study import find_study

    labels = labels_from(label or [])
    found = find_study(file)
    with open_client(url, token_file) as client:
        comparison = client.compare(
            found.spec,
            strategies or [],
            repeats=repeats,
            name=as_name,
            code=code,
            workers=workers,
            priority=priority,
            labels=labels,
            code_path=found.code_path,
            say=_say,
        )
        if follow:
            return _exit_code(comparison.watch())
        typer.echo(f"{comparison.name}: {comparison.state} on {client.url}; `bandstand watch` shows its progress")
    return 0


def watch(name: StudyOrComparisonName, url: Url = None, token_file: TokenFile = None) -> int:
    """Show the progress of a submitted study or comparison until it ends.

    Ctrl-C ends only this display. The study goes on.
    """
    from bandstand.commands.server.server_from_options import open_client

    with open_client(url, token_file) as client:
        return _exit_code(client.find(name).watch())


def logs(
    name: StudyOrComparisonName,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing until the job ends.")] = False,
    run: Annotated[int | None, typer.Option(min=1, help="Number of the job. Default: the latest job.")] = None,
    url: Url = None,
    token_file: TokenFile = None,
) -> int:
    """Print the output of a submitted study's job."""
    from bandstand.commands.server.server_from_options import open_client
    from bandstand.errors import INTERRUPTED

    with open_client(url, token_file) as client:
        try:
            for piece in client.find(name).iter_logs(follow, run):
                sys.stdout.write(_harmless(piece) if sys.stdout.isatty() else piece)
                sys.stdout.flush()
        except KeyboardInterrupt:
            return INTERRUPTED
    return 0


def _harmless(text: str) -> str:
    """Without what would steer a terminal: a job prints what its author likes."""
    return "".join(character for character in text if character.isprintable() or character in "\n\t\r")


def labels_from(texts: list[str]) -> dict[str, str]:
    """Labels as they are given on the command line.

    Raises:
        InputError: one is not key=value.
    """
    from bandstand.errors import InputError

    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise InputError(f"a label must be written key=value, such as accelerator=a100; got {text!r}")
    return dict(text.partition("=")[::2] for text in texts)


def _say(note: str) -> None:
    typer.echo(note, err=True)


def _exit_code(state: str) -> int:
    """What a watched study ends the command with."""
    from bandstand.errors import INTERRUPTED, StudyFailedError, answer_to

    failed = answer_to(StudyFailedError).exit_code
    return {"finished": 0, "stopped": 0, "failed": failed, "deleted": failed}.get(state, INTERRUPTED)
