"""`bandstand doctor`: one line for each part of an installation, and what to do.

Knows the order of the parts and how lines are shown. Must not know how a part is examined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bandstand.commands.options import AsJson

if TYPE_CHECKING:
    from bandstand.commands.work.checkup.finding import Finding

__all__ = ["doctor"]

_COLOURS = {"ok": typer.colors.GREEN, "warning": typer.colors.YELLOW, "problem": typer.colors.RED}


def doctor(as_json: AsJson = False) -> int:
    """Check the installation: packages, folders, disk, database, clock, Ray, GPU and server.

    Each line says what is there, and what to do if something is wrong.
    The exit code is 1 if there is a problem, and 0 if there are only warnings.
    """
    from bandstand.commands.work.checkup.databases import examine_database
    from bandstand.commands.work.checkup.finding import surely
    from bandstand.commands.work.checkup.folders import examine_folders
    from bandstand.commands.work.checkup.hardware import examine_gpus
    from bandstand.commands.work.checkup.packages import examine_packages
    from bandstand.commands.work.checkup.services import examine_cluster, examine_server

    findings = [
        *surely("versions", examine_packages),
        *surely("folders", examine_folders),
        *surely("database", examine_database),
        *surely("Ray", examine_cluster),
        *surely("GPU", examine_gpus),
        *surely("server", examine_server),
    ]
    if as_json:
        _print_json(findings)
    else:
        for finding in findings:
            _print(finding)
    return int(any(finding.level == "problem" for finding in findings))


def _print(finding: Finding) -> None:
    level = typer.style(f"{finding.level:<8}", fg=_COLOURS[finding.level])
    advice = f": {finding.advice}" if finding.advice else ""
    typer.echo(f"{level} {finding.part}: {finding.message}{advice}")


def _print_json(findings: list[Finding]) -> None:
    import dataclasses

    from bandstand.commands.work.json_output import print_json

    print_json([dataclasses.asdict(finding) for finding in findings])
