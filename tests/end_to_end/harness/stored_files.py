"""What lies in a study's folders, and what its database names."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from bandstand.store import tables
from bandstand.store.rows.folder_rows import folders_of, named_files
from bandstand.store.store import Store


def folders_and_names(store: Store, name: str) -> tuple[list[Path], set[str]]:
    with store.database.engine.connect() as connection:
        study = connection.execute(sa.select(tables.study.c.id).where(tables.study.c.name == name)).scalar_one()
        return [Path(folder) for folder in folders_of(connection, study)], set(named_files(connection, study))


def check_folders_hold_what_is_named(store: Store, name: str) -> None:
    """Files, links and empty folders count, so that nothing at all is there beside what is named."""
    folders, named = folders_and_names(store, name)
    assert folders
    found = {
        str(path) for folder in folders for path in folder.rglob("*") if not path.is_dir() or not any(path.iterdir())
    }
    assert found == named
