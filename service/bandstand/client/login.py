"""Which server, and the token for it: from the caller, the environment, or what `bandstand login` has kept.

Knows files and variables. A token that was kept for one server is never given to another.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from bandstand.errors import InputError

__all__ = ["Login", "config_file", "find_login", "forget_login", "keep_login", "saved_login"]


@dataclass(frozen=True, kw_only=True)
class Login:
    """A server and a token for it."""

    url: str
    token: str | None = field(repr=False)
    """A secret; None where there is none."""


def config_file() -> Path:
    """Where a login is kept: in the user's folder of settings, readable by the user alone."""
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder).expanduser() / "bandstand" / "login.json"


def find_login(url: str | None = None, token: str | None = None) -> Login | None:
    """The server to ask; None if none is named anywhere.

    Args:
        url: else BANDSTAND_URL, else that of the kept login.
        token: else BANDSTAND_TOKEN, else that of the kept login if it is for this server.

    Raises:
        InputError: the kept login cannot be read.
    """
    kept = saved_login()
    where = url or os.environ.get("BANDSTAND_URL") or (kept.url if kept else None)
    if not where:
        return None
    where = where.rstrip("/")
    token = token or os.environ.get("BANDSTAND_TOKEN")
    if not token and kept is not None and kept.url == where:
        token = kept.token
    return Login(url=where, token=token or None)


def saved_login() -> Login | None:
    """What `bandstand login` has kept.

    Raises:
        InputError: the file cannot be read.
    """
    file = config_file()
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return Login(url=str(kept["url"]), token=str(kept["token"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"the file of your login must be readable; {file} is not ({type(error).__name__}): log in again "
            "with `bandstand login`"
        ) from None


def keep_login(login: Login) -> Path:
    """Keep a login in place of the former one; the file is nobody else's to read at any moment."""
    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".login-")  # made with mode 0600
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        json.dump({"url": login.url, "token": login.token}, written)
    Path(name).replace(file)
    return file


def forget_login() -> bool:
    """Remove the kept login; whether there was one."""
    try:
        config_file().unlink()
    except FileNotFoundError:
        return False
    return True
