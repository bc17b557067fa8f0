"""Where things are, read from the environment."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bandstand.errors import InputError

__all__ = [
    "JOB_LOGIN",
    "bandstand_home",
    "check_port",
    "checkpoints_limit",
    "checkpoints_uri",
    "database_url",
    "keeps_ray_files",
    "ray_address",
    "ray_job_server",
]

JOB_LOGIN = "BANDSTAND_JOB_LOGIN"
"""Variable by which a server gives a job the URL of its own database login; of no use once the job has begun."""


def bandstand_home() -> Path:
    """The folder of the embedded database, checkpoints, logs and reports: BANDSTAND_HOME, or the user's data folder."""
    home = os.environ.get("BANDSTAND_HOME")
    if home:
        return Path(home).expanduser().resolve()
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data).expanduser().resolve() / "bandstand"


def checkpoints_uri() -> str:
    """The absolute path or fsspec URL of checkpoints and models: BANDSTAND_CHECKPOINTS, or a folder of the home.

    One folder has one path, without links, because what lies there is compared with paths in the database.
    """
    uri = os.environ.get("BANDSTAND_CHECKPOINTS") or str(bandstand_home() / "checkpoints")
    uri = uri.removeprefix("file://")
    return uri.rstrip("/") if "://" in uri else str(Path(uri).resolve())


def checkpoints_limit() -> int | None:
    """How many bytes all checkpoints and models together may take: BANDSTAND_CHECKPOINTS_GB, or None for no limit.

    Raises:
        InputError: it is no number above 0.
    """
    text = os.environ.get("BANDSTAND_CHECKPOINTS_GB") or None
    if text is None:
        return None
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise InputError(
            f"BANDSTAND_CHECKPOINTS_GB must be a number of gigabytes above 0; got {text!r}: set it to say 50, or unset "
            "it for no limit"
        )
    return round(limit * 1e9)


def database_url() -> str | None:
    """The URL of the PostgreSQL server: BANDSTAND_DATABASE_URL, or None for the embedded one. A secret."""
    return os.environ.get("BANDSTAND_DATABASE_URL") or None


def ray_address() -> str | None:
    """The address of the Ray cluster: RAY_ADDRESS, or None for a local Ray that Bandstand starts."""
    address = os.environ.get("RAY_ADDRESS") or None
    return None if address == "local" else address


def check_port(address: str, what: str) -> None:
    """Refuse an address whose port no server can have: programs that take it connect to another one.

    Args:
        address: `host:port`, or a URL.
        what: it is, for the message.

    Raises:
        InputError: the port is not between 1 and 65535.
    """
    found = re.search(r":(-?\d+)/?$", address.partition("?")[0])
    if found and not 0 < int(found[1]) < 2**16:
        raise InputError(f"the port in {what} must be between 1 and 65535; got {found[1]}: correct it")


def keeps_ray_files() -> bool:
    """Whether the files of a local Ray, its logs among them, stay when its run has ended: BANDSTAND_KEEP_RAY_FILES."""
    return os.environ.get("BANDSTAND_KEEP_RAY_FILES", "") not in ("", "0")


def ray_job_server() -> str | None:
    """The URL of the Ray cluster's job server: RAY_API_SERVER_ADDRESS, or None for a local Ray.

    Raises:
        InputError: a cluster is named, but not its job server.
    """
    address = os.environ.get("RAY_API_SERVER_ADDRESS") or None
    if address is not None:
        check_port(address, "RAY_API_SERVER_ADDRESS")
    if address is None and ray_address() is not None:
        raise InputError(
            f"a server needs the job server of its Ray cluster; RAY_ADDRESS is {ray_address()!r}, but "
            "RAY_API_SERVER_ADDRESS is not set: set it to http://HEAD:8265, or unset RAY_ADDRESS for a local Ray"
        )
    return address
