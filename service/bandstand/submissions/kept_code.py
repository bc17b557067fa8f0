"""Archives of code as the database keeps them: known by their content, dropped where nobody needs them.

Knows the rows of archives. Must not know what is in one.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection

from bandstand.errors import InputError
from bandstand.store import tables
from bandstand.study.users_code.code_archive import CodeArchive

__all__ = ["drop_unused_code", "is_kept", "keep_code"]


def keep_code(connection: Connection, code: CodeArchive | str) -> str:
    """The SHA-256 of an archive, which is kept; it counts as new, so that nobody drops it before it is used.

    Raises:
        InputError: there is none of this SHA-256.
    """
    now = {"created_at": sa.func.clock_timestamp()}
    sha256 = code if isinstance(code, str) else code.sha256
    kept = sa.update(tables.code).where(tables.code.c.sha256 == sha256).values(now).returning(tables.code.c.sha256)
    if connection.execute(kept).scalar() is None:
        if isinstance(code, str):
            raise InputError(f"the server has no code with SHA-256 {code}: send the code first")
        row = {"sha256": sha256, "content": code.content}
        connection.execute(insert(tables.code).values(row).on_conflict_do_nothing())
    return sha256


def is_kept(connection: Connection, sha256: str) -> bool:
    """Whether an archive of this SHA-256 is there."""
    query = sa.select(tables.code.c.sha256).where(tables.code.c.sha256 == sha256)
    return connection.execute(query).scalar() is not None


def drop_unused_code(connection: Connection) -> None:
    """Drop archives that no submission has, but those that came today: a submission may follow."""
    used = sa.select(tables.submission.c.code).where(tables.submission.c.code.is_not(None))
    yesterday = sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, 1)
    old = tables.code.c.created_at < yesterday
    connection.execute(sa.delete(tables.code).where(old, tables.code.c.sha256.not_in(used)))
