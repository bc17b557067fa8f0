"""The revisions of the database's schema make one line, whose end is the one that this code asks for."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

import bandstand.store.migrations
from bandstand.store import connecting


def revisions() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(bandstand.store.migrations.__file__).parent))
    return ScriptDirectory.from_config(config)


def test_there_is_one_head_and_a_new_database_is_brought_up_to_it():
    assert revisions().get_heads() == [connecting.newest_revision()]


def test_every_revision_follows_the_one_whose_number_is_one_less():
    found = {one.revision: one.down_revision for one in revisions().walk_revisions()}
    assert found == {f"{number:04}": f"{number - 1:04}" if number > 1 else None for number in range(1, len(found) + 1)}
