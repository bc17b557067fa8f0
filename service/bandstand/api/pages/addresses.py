"""Addresses of the server's pages.

Knows how names become parts of an address. Must not know what is found there.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

__all__ = ["address_of", "login_address", "safe_target"]


def address_of(prefix: str, name: str, suffix: str = "") -> str:
    """`prefix/name/suffix`, where the name may hold anything.

    Slashes of a name stay, since proxies dislike them encoded, unless a browser would read the name as a way up.
    """
    parts = name.split("/")
    is_plain = all(part not in ("", ".", "..") for part in parts)
    return f"{prefix}/{quote(name, safe='/' if is_plain else '')}{f'/{suffix}' if suffix else ''}"


def login_address(target: str) -> str:
    """The login page that leads on to `target`."""
    return "/login" if target == "/" else f"/login?{urlencode({'next': target})}"


def safe_target(target: str) -> str:
    """`target` if it is a path on this server, else the front page: nobody is led elsewhere by a login."""
    parts = urlsplit(target)
    is_path = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return target if is_path and target.isprintable() and "\\" not in target else "/"
