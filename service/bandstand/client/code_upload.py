"""Code on its way to a server: sent once, known by its content."""

from __future__ import annotations

from bandstand.client.connection import Connection, path_of
from bandstand.study.users_code.code_archive import CodeArchive

__all__ = ["send_code"]


def send_code(connection: Connection, archive: CodeArchive | None) -> str | None:
    """Make sure that the server has an archive; returns what it is known by, None for none.

    Raises:
        InputError: the server refuses it.
    """
    if archive is None:
        return None
    path = path_of("code", archive.sha256)
    if connection.request("HEAD", path, missing_ok=True).status_code == 404:
        connection.request("PUT", path, content=archive.content, headers={"Content-Type": "application/zip"})
    return archive.sha256
