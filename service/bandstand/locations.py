"""Where things are, read from the environment."""

from __future__ import annotations

import os
from pathlib import Path

from bandstand.errors import InputError

__all__ = ["JOB_LOGIN", "bandstand_home", "checkpoints_uri", "database_url", "ray_address", "ray_job_server"]

JOB_LOGIN = "BANDSTAND_JOB_LOGIN"
"""Variable by which a server gives a job the URL of its own database login; of no use once the job has begun."""


def bandstand_home() -> Path:
    """The folder of the embedded database, checkpoints, logs and reports: BANDSTAND_HOME, or the user's data folder."""
    home = os.environ.get("BANDSTAND_HOME")
    if home:
        return Path(home).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data).expanduser().absolute() / "bandstand"


def checkpoints_uri() -> str:
    """The absolute path or fsspec URL of checkpoints and models: BANDSTAND_CHECKPOINTS, or a folder of the home."""
    uri = os.environ.get("BANDSTAND_CHECKPOINTS") or str(bandstand_home() / "checkpoints")
    return uri if "://" in uri else str(Path(uri).absolute())


def database_url() -> str | None:
    """The URL of the PostgreSQL server: BANDSTAND_DATABASE_URL, or None for the embedded one. A secret."""
    return os.environ.get("BANDSTAND_DATABASE_URL") or None


def ray_address() -> str | None:
    """The address of the Ray cluster: RAY_ADDRESS, or None for a local Ray that Bandstand starts."""
    address = os.environ.get("RAY_ADDRESS") or None
    return None if address == "local" else address


def ray_job_server() -> str | None:
    """The URL of the Ray cluster's job server: RAY_API_SERVER_ADDRESS, or None for a local Ray.

    Raises:
        InputError: a cluster is named, but not its job server.
    """
    address = os.environ.get("RAY_API_SERVER_ADDRESS") or None
    if address is None and ray_address() is not None:
        raise InputError(
            f"a server needs the job server of its Ray cluster; RAY_ADDRESS is {ray_address()!r}, but "
            "RAY_API_SERVER_ADDRESS is not set: set it to http://HEAD:8265, or unset RAY_ADDRESS for a local Ray"
        )
    return address
