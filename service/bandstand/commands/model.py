"""`bandstand model`: a study's model as a file of one's own.

Knows the command's options. Must not know how models are made or where they are kept.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from bandstand.commands.options import StudyName
from bandstand.commands.output_files import check_folder
from bandstand.errors import InputError

__all__ = ["model"]


def model(
    name: StudyName, output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .keras.")]
) -> None:
    """Write the best model of a study to a .keras file. Keras loads it without Bandstand."""
    from bandstand import stored_files
    from bandstand.store.store import Store

    if output.suffix != ".keras":
        raise InputError(f"the file must end in .keras, or Keras does not load it; got {output.name!r}")
    check_folder(output, "model")
    record = Store.open().record(name)
    best = record.best
    if best is None:
        raise InputError(
            f"study {name!r} has no model yet, because no trial has a value; `bandstand show` shows its state"
        )
    if best.model_path is None:
        if record.state == "running":
            raise InputError(f"study {name!r} is running, and its best model is not saved yet: try again in a moment")
        raise InputError(f"study {name!r} has no model to write: {best.model_words}")
    try:
        content = stored_files.read(best.model_path)
    except FileNotFoundError:
        raise InputError(
            f"the model of study {name!r} must be at {best.model_path}, and the file is not there: train the model "
            f"again with `bandstand replay {shlex.quote(name)}`"
        ) from None
    stored_files.write(content, str(output.absolute()))
    typer.echo(f'{output}: the model of trial {best.number}; `keras.saving.load_model("{output}")` loads it')
