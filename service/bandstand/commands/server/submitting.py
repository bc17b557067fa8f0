"""`bandstand submit`, `submit-comparison`, `watch` and `logs`: studies that a server runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from bandstand.commands.options import ComparisonName, Strategies, StudyName, workers_option
from bandstand.commands.server.choice import TokenFile, Url

__all__ = ["logs", "submit", "submit_comparison", "watch"]

File = Annotated[str, typer.Argument(help="study.toml, train.py:study or a built-in study.")]
Code = Annotated[
    Path | None,
    typer.Option(
        help="A folder, all of which is sent; else the Python files beside the study's modules, unless installed.",
        show_default=False,
    ),
]
Workers = Annotated[int | None, workers_option(least=1)]
Priority = Annotated[int, typer.Option(help="The higher, the sooner.")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="key=value that a node must have to run it; may be given several times."),
]

Watch = Annotated[bool, typer.Option("--watch", help="Show its progress until it ends.")]


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
    """Have a server run a study. The same again is the same study."""
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
    repeats: Annotated[int, typer.Option(min=1, help="Studies of each strategy, a seed each.")] = 5,
    as_name: ComparisonName = None,
    code: Code = None,
    workers: Workers = None,
    priority: Priority = 0,
    label: Labels = None,
    follow: Watch = False,
    url: Url = None,
    token_file: TokenFile = None,
) -> int:
    """Have a server compare strategies at a study's budget. More strategies or repeats extend it."""
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


def watch(name: StudyName, url: Url = None, token_file: TokenFile = None) -> int:
    """Show the progress of a study or comparison until it ends. Ctrl-C ends the watching, not the study."""
    from bandstand.commands.server.server_from_options import open_client

    with open_client(url, token_file) as client:
        return _exit_code(client.find(name).watch())


def logs(
    name: StudyName,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until nothing more will come.")] = False,
    run: Annotated[int | None, typer.Option(min=1, help="Which job; the latest when left out.")] = None,
    url: Url = None,
    token_file: TokenFile = None,
) -> int:
    """What a study's job on the cluster has printed."""
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
            raise InputError(f"a label is written key=value, such as accelerator=a100; got {text!r}")
    return dict(text.partition("=")[::2] for text in texts)


def _say(note: str) -> None:
    typer.echo(note, err=True)


def _exit_code(state: str) -> int:
    """What a watched study ends the command with."""
    from bandstand.errors import INTERRUPTED, StudyFailedError, answer_to

    failed = answer_to(StudyFailedError).exit_code
    return {"finished": 0, "stopped": 0, "failed": failed, "deleted": failed}.get(state, INTERRUPTED)
