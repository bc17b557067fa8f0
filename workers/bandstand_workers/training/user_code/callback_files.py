"""The files of Keras's own callbacks in a trial: each trial's apart, and a resumed trial's gone on with.

`{trial}` and `{folder}` in their paths become the trial's number and its folder. Knows which of Keras's callbacks write
files, and how these are continued. Must not know the study.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from bandstand.study.context import Context

__all__ = ["CallbackFiles", "goes_on_by_its_files"]

_PATHS = {
    keras.callbacks.ModelCheckpoint: "filepath",
    keras.callbacks.CSVLogger: "filename",
    keras.callbacks.TensorBoard: "log_dir",
    keras.callbacks.BackupAndRestore: "backup_dir",
}
"""Keras's callbacks that write files, and the attribute that says where."""
_TRIAL = re.compile(r"\{trial(:[^{}]*)?\}")


class CallbackFiles:
    """Prepares callbacks of one trial after the other, and knows where earlier ones of this process wrote."""

    def __init__(self) -> None:
        self._written: dict[tuple[str, str], int] = {}  # (callback, path) -> the first trial that wrote there

    def prepare(self, callbacks: Sequence[Any], context: Context) -> tuple[list[Any], list[str]]:
        """Give each callback files of its trial.

        `BackupAndRestore` would have a trial go on from where another one, or an attempt that was lost, had come to.
        Bandstand's checkpoints do its work. So it never restores, and is left out where its folder is not the trial's.

        Args:
            callbacks: fresh ones, as the user's functions make them.
            context: of their trial.

        Returns:
            The callbacks to train with, and what the user should know, a sentence each.
        """
        kept, notes = [], []
        for callback in callbacks:
            name = next((name for kind, name in _PATHS.items() if isinstance(callback, kind)), None)
            if name is None:
                kept.append(callback)
                continue
            written = str(getattr(callback, name))
            is_own = _expand(callback, context) or str(context.folder) in written
            note = "" if is_own else self._note_of_shared(callback, written, context)
            if note:
                notes.append(note)
            if isinstance(callback, keras.callbacks.BackupAndRestore):
                if not is_own:
                    continue
                shutil.rmtree(callback.backup_dir, ignore_errors=True)
            if isinstance(callback, keras.callbacks.CSVLogger):
                _continue_log(callback, context, is_own=is_own)
            kept.append(callback)
        return kept, notes

    def _note_of_shared(self, callback: Any, path: str, context: Context) -> str | None:
        """What to say of a path that two trials write to; None of the first, or of what is meant to be shared."""
        kind = type(callback).__name__
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            return (
                f"{kind} is not used, because all trials would share its folder {path!r}, and Bandstand's checkpoints "
                f'resume a trial anyway: remove it, or write to "{{folder}}/{Path(path).name}"'
            )
        first = self._written.setdefault((kind, path), context.trial or 0)
        appends = isinstance(callback, keras.callbacks.CSVLogger) and callback.append
        if first == context.trial or appends:
            return None
        return (
            f"{kind} writes {path!r} in more than one trial, so trials overwrite it: "
            f'write to "{{folder}}/{Path(path).name}"'
        )


def goes_on_by_its_files(callback: Any) -> bool:
    """Whether a callback of Keras's keeps all that matters in its files, so that a checkpoint need not hold it."""
    if type(callback) is keras.callbacks.TensorBoard:
        return bool(callback.update_freq == "epoch")
    return type(callback) is keras.callbacks.CSVLogger


def _expand(callback: Any, context: Context) -> bool:
    """Put the trial's number and folder into all paths that a callback keeps; whether there was a place for them."""
    found = False
    for name, value in list(vars(callback).items()):
        if not isinstance(value, str | Path) or not _has_place(str(value)):
            continue
        found = True
        folder = str(context.folder)
        if isinstance(callback, keras.callbacks.ModelCheckpoint):
            folder = folder.replace("{", "{{").replace("}", "}}")  # it formats its path once more, with the epoch
        text = _TRIAL.sub(lambda match: format(context.trial, (match[1] or ":")[1:]), str(value))
        path = Path(text.replace("{folder}", folder))
        setattr(callback, name, path if isinstance(value, Path) else str(path))
        if context.folder is not None and "{folder}" in str(value):
            context.folder.mkdir(parents=True, exist_ok=True)
        if isinstance(callback, keras.callbacks.CSVLogger):  # the others make the folders that they need
            path.parent.mkdir(parents=True, exist_ok=True)
    return found


def _has_place(path: str) -> bool:
    return "{folder}" in path or _TRIAL.search(path) is not None


def _continue_log(logger: Any, context: Context, *, is_own: bool) -> None:
    """Have a resumed trial's log go on after its checkpoint's epoch; later rows are of epochs that are trained again.

    A file that the user lets several trials append to keeps all of its rows.
    """
    if logger.append and not is_own:
        return
    if context.resumed or logger.append:
        _keep_rows(Path(logger.filename), logger.sep, context.epoch if context.resumed else 0)
    logger.append = logger.append or context.resumed


def _keep_rows(file: Path, separator: str, epochs: int) -> None:
    """Drop what a log says of epochs after the first so many. What is not a log of epochs is let be."""
    try:
        with file.open(newline="") as lines:
            rows = list(csv.reader(lines, delimiter=separator))
        if not rows or rows[0][:1] != ["epoch"]:
            return
        kept = [row for row in rows[1:] if row and int(row[0]) < epochs]
    except (OSError, ValueError, csv.Error):
        return
    unfinished = file.with_name(f"{file.name}.unfinished")
    with unfinished.open("w", newline="") as lines:
        writer = csv.writer(lines, delimiter=separator)
        writer.writerows([rows[0], *kept] if kept else [])
    unfinished.replace(file)
