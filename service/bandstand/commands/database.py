"""`bandstand db`: the database as a whole, its schema, its backup and the way back.

Knows options and what a user is told. Must not know how a database is copied.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["database"]

database = typer.Typer(name="db", help="Upgrade, back up and restore the database.", no_args_is_help=True)

BackupFile = Annotated[Path, typer.Argument(help="File of the backup.", show_default=False)]
WithFiles = Annotated[
    bool,
    typer.Option(
        "--files", help="Copy the checkpoints and models, too, into FILE.files.tar. They must be in a local folder."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")]
OverwriteDatabase = Annotated[bool, typer.Option("--overwrite", help="Replace what the database holds.")]


@database.command()
def upgrade() -> None:
    """Upgrade the schema of the database to this version of Bandstand.

    The embedded PostgreSQL is upgraded first, if its data are of an older version than the installed one.
    """
    from bandstand.store.store import upgrade_database

    typer.echo(upgrade_database())


@database.command()
def backup(file: BackupFile, files: WithFiles = False, overwrite: Overwrite = False) -> None:
    """Write the database into a file that only you can read. Studies may run meanwhile.

    The file is what `pg_dump --format=custom` writes.
    """
    from bandstand.locations import checkpoints_uri, database_url
    from bandstand.store.backup import files as of_studies
    from bandstand.store.backup.dumps import dump_database
    from bandstand.store.embedded import embedded_url

    folder = _local_folder(checkpoints_uri(), needed=files)
    dump_database(database_url() or embedded_url(), file, overwrite=overwrite)
    typer.echo(f"the database is in {file}")
    if files and folder is not None:
        place = of_studies.place_of_files(file)
        count = of_studies.pack_files(folder, place, overwrite=overwrite)
        typer.echo(f"{count} checkpoints and models are in {place}")
        return
    count, size = of_studies.count_files(folder) if folder is not None else (1, 0)
    if count:
        told = f"{count} files, {size / 1e6:.0f} MB" if folder is not None else "not counted"
        typer.echo(
            f"the checkpoints and models in {checkpoints_uri()} are not in it ({told}): copy them now, or give --files"
        )


@database.command()
def restore(file: BackupFile, files: WithFiles = False, overwrite: OverwriteDatabase = False) -> None:
    """Restore the database from a backup. Nothing may run meanwhile.

    If it fails, the database stays as it was.
    """
    from bandstand.locations import checkpoints_uri, database_url
    from bandstand.store import connecting
    from bandstand.store.backup import files as of_studies
    from bandstand.store.backup.dumps import restore_database
    from bandstand.store.embedded import embedded_url

    folder = _local_folder(checkpoints_uri(), needed=files)
    archive = of_studies.place_of_files(file)
    if files:
        of_studies.check_archive(archive)
    revision = restore_database(database_url() or embedded_url(), file, overwrite=overwrite)
    typer.echo(f"the database is what {file} says")
    if files and folder is not None:
        typer.echo(f"{of_studies.unpack_files(archive, folder)} checkpoints and models are in {folder}")
    elif archive.exists():
        typer.echo(f"{archive} was not unpacked; --files does it")
    else:
        typer.echo("checkpoints and models are not part of it; they must be at the paths that the backup names")
    if revision is not None and revision < connecting.newest_revision():
        typer.echo("its schema is of an older release: run `bandstand db upgrade`")
    if revision is not None and revision > connecting.newest_revision():
        typer.echo("its schema is of a newer release: upgrade this Bandstand")


def _local_folder(uri: str, *, needed: bool) -> Path | None:
    """The folder of checkpoints; None if they are elsewhere.

    Raises:
        InputError: it is needed.
    """
    from bandstand.errors import InputError

    if "://" not in uri:
        return Path(uri)
    if needed:
        raise InputError(f"--files copies a local folder; checkpoints are in {uri}: copy that by its own tools")
    return None
