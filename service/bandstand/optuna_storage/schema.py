"""Optuna's tables are made and checked by Optuna's own storage, which is given up again at once."""

from __future__ import annotations

from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

__all__ = ["driver_url", "make_tables"]


def driver_url(url: str) -> str:
    """The URL by which SQLAlchemy finds psycopg; a secret, as `url` is."""
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def make_tables(url: str) -> None:
    """Make Optuna's tables where there are none, and check their version.

    Args:
        url: postgresql://…; a secret.

    Raises:
        RuntimeError: they belong to another version of Optuna.
    """
    RDBStorage(driver_url(url), engine_kwargs={"poolclass": NullPool})
