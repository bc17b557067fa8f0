"""`bandstand list`, `show`, `best`, `export` and `schedule`: looking at studies of this machine's database.

Knows the commands' options. Must not know how a study is printed. Every command imports what it needs when it runs, so
that `--help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandstand.commands.options import AsJson, StudyName, Trial
from bandstand.commands.output_files import check_folder
from bandstand.errors import InputError

__all__ = ["best", "export", "list_studies", "schedule", "show"]


def list_studies(
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Also list each study of a comparison.")] = False,
) -> None:
    """List all studies, the newest first. A comparison takes one line."""
    from bandstand.commands.work.json_output import print_json
    from bandstand.commands.work.printing import print_studies
    from bandstand.store.store import Store

    store = Store.open()
    studies = store.studies()
    if as_json:
        print_json([vars(study) for study in studies])
        return
    if not studies:
        typer.echo("there are no studies yet; `bandstand run digits_mlp` runs one")
        return
    print_studies(studies, [] if everything else store.plans.names())


def show(name: StudyName, as_json: AsJson = False) -> None:
    """Show the state of a study, its best trials and its failures."""
    from bandstand.commands.work.json_output import json_from, print_json
    from bandstand.commands.work.printing import print_overview
    from bandstand.store.store import Store

    store = Store.open()
    overview = store.overview(name)
    if as_json:
        print_json(json_from(overview, (trial for page in store.trial_pages(name) for trial in page)))
    else:
        print_overview(overview)


def best(name: StudyName, as_json: AsJson = False) -> int:
    """Show the best params of a study, the objective's value and the path of the model."""
    from bandstand.commands.work.json_output import best_json, print_json
    from bandstand.commands.work.printing import print_best
    from bandstand.store.store import Store

    record = Store.open().overview(name)
    if as_json:
        print_json(best_json(record))
        return 0 if record.best else 1
    if record.best is None:
        typer.echo(f"study {name!r} has no trial with a value yet", err=True)
        return 1
    print_best(record)
    return 0


def export(
    name: StudyName, output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .csv or .parquet.")]
) -> None:
    """Write the trials of a study to a .csv or .parquet file."""
    from bandstand.commands.work.exporting import write_trials
    from bandstand.extras import require
    from bandstand.report.text import counted
    from bandstand.store.store import Store

    if output.suffix not in (".csv", ".parquet"):
        raise InputError(f"the file must end in .csv or .parquet; got {output.name!r}")
    if output.suffix == ".parquet":
        require("parquet", "a .parquet file", otherwise="write .csv")
    check_folder(output, "file")
    store = Store.open()
    written = write_trials(output, store.trial_pages(name), store.spec(name))
    typer.echo(f"{output}: {counted(written, 'trial')}")


def schedule(
    name: StudyName,
    trial: Trial = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the params of each epoch to this file: .json or .csv.")
    ] = None,
) -> None:
    """Show the params that led to the best model, epoch by epoch.

    If the best trial inherited weights, the list begins with the ancestor that began with random weights.
    """
    from bandstand.commands.work.printing import print_params_by_epoch
    from bandstand.report.text import counted
    from bandstand.store.reading.params_by_epoch import write_params_by_epoch
    from bandstand.store.store import Store

    if output is not None:
        check_folder(output, "file")
    found = Store.open().params_by_epoch(name, trial)
    if output is None:
        print_params_by_epoch(found)
        return
    write_params_by_epoch(found, output)
    typer.echo(f"{output}: {counted(len(found.epochs), 'epoch')} of trial {found.trial} and its ancestors")
    unknown = sum(row["learning_rate"] is None for row in found.epochs)
    if unknown:
        typer.echo(
            f"{counted(unknown, 'epoch has', 'epochs have')} no learning rate, because the optimizer told none; "
            "`TableSchedule.load` cannot read this file"
        )
