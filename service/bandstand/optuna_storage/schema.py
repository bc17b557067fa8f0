"""Optuna's tables are made and checked by Optuna's own storage, which is given up again at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

__all__ = ["driver_url", "make_tables", "quiet_migrations"]


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
    with quiet_migrations():
        RDBStorage(driver_url(url), engine_kwargs={"poolclass": NullPool})


@contextmanager
def quiet_migrations() -> Iterator[None]:
    """Keep the logging of this process as it is while Optuna makes or changes its tables.

    Its migrations set up logging anew: they print what they do, and silence every logger that is there.
    """
    root = logging.getLogger()
    migrations = logging.getLogger("alembic.runtime.migration")
    before = root.level, root.handlers[:]
    enabled = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    enabled = [one for one in enabled if not one.disabled]
    migrations.addFilter(_is_warning)
    try:
        yield
    finally:
        migrations.removeFilter(_is_warning)
        root.level, root.handlers[:] = before
        for one in enabled:
            one.disabled = False


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
