"""Where the files of studies are: their folders, what the database names of these, and what is to be removed.

Knows the tables. Must not know what lies in a folder.
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand import stored_files, stray_files
from bandstand.store import tables

__all__ = ["folders_of", "leave", "named_files", "take_folder"]


def take_folder(connection: Connection, study_id: int, checkpoints_uri: str) -> str:
    """The folder of a study below this place, for its one writer; from now on the study's row names it.

    Studies of other databases may lie beside it, with the same ids. So a folder has a random tag in its name. A study
    that an old version began stays in its folder without one.
    """
    folders = folders_of(connection, study_id)
    for folder in folders:
        if stored_files.one_name(folder.rpartition("/")[0]) == stored_files.one_name(checkpoints_uri):
            return folder
    if folders:  # the place has changed, the name stays
        folder = f"{checkpoints_uri}/{folders[0].rpartition('/')[2]}"
    else:
        begun = sa.exists().where(tables.attempt.c.study_id == study_id)
        tag = "" if connection.execute(sa.select(begun)).scalar() else secrets.token_hex(4)
        folder = stored_files.study_folder(checkpoints_uri, study_id, tag)
    change = sa.update(tables.study).where(tables.study.c.id == study_id)
    connection.execute(change.values(folders=[*folders, folder]))
    return folder


def folders_of(connection: Connection, study_id: int) -> list[str]:
    """The folders that a study's files are in; none of a study that an old version ended."""
    query = sa.select(tables.study.c.folders).where(tables.study.c.id == study_id)
    return list(connection.execute(query).scalar_one())


def named_files(connection: Connection, study_id: int) -> list[str]:
    """Every file that the database names as a study's: its checkpoints, and its model."""
    kept = tables.checkpoint.c
    named = [str(uri) for uri in connection.execute(sa.select(kept.uri).where(kept.study_id == study_id)).scalars()]
    model = connection.execute(sa.select(tables.study.c.model_uri).where(tables.study.c.id == study_id)).scalar()
    return named if model is None else [*named, str(model)]


def leave(connection: Connection, study_id: int) -> int | None:
    """Note, in the transaction that deletes a study, what is of no use then; the note's id, None if there is nothing.

    A process that is killed before it has removed the files finds them by it. The folder of a study that an old version
    began may hold files of another database's study, so only what the rows name is noted of it. A study's job writes
    these rows, so what is not called as a file of this study is left alone.
    """
    folders = [
        folder
        for folder in folders_of(connection, study_id)
        if stored_files.is_tagged(folder) and stray_files.is_folder_of(study_id, folder)
    ]
    files = [file for file in named_files(connection, study_id) if stray_files.is_file_of(study_id, file)]
    if not folders and not files:
        return None
    row = {"folders": folders, "files": files}
    leftover = tables.leftover
    return int(connection.execute(sa.insert(leftover).values(row).returning(leftover.c.id)).scalar_one())
