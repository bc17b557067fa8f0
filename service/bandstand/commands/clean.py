"""`bandstand clean`: removes what Bandstand has left on disks and needs no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bandstand.running.cleaning import Remains

__all__ = ["clean"]


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,
    sure: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    sole_database: Annotated[
        bool,
        typer.Option(
            "--sole-database",
            help="Also clean the folders of studies that this database does not know. Say so only if no other "
            "database keeps its studies in the same place.",
        ),
    ] = False,
) -> int:
    """Remove files that no study needs, and what killed runs left on this machine."""
    from bandstand.commands.server.resume_delete import confirm
    from bandstand.running.cleaning import find_remains
    from bandstand.store.store import Store

    remains = find_remains(Store.open(), sole_database=sole_database)
    _show(remains)
    if not remains.findings:
        typer.echo("there is nothing to remove")
        return 0
    total = sum(finding.bytes for finding in remains.findings)
    if dry_run:
        typer.echo(f"{_megabytes(total)} would be removed; nothing was")
        return 0
    if not sure:
        confirm(f"remove these {_megabytes(total)}?", "removing files", "nothing was removed")
    for finding in remains.findings:
        finding.remove()
    typer.echo(f"{_megabytes(total)} removed")
    return 0


def _show(remains: Remains) -> None:
    for finding in remains.findings:
        typer.echo(f"{finding.count:>6}  {_megabytes(finding.bytes):>10}  {finding.what}, in {finding.place}")
    for kept in remains.kept:
        typer.echo(f"stays: {kept}", err=True)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
