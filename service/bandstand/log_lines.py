"""How processes that run by themselves write their logs: lines for people, or JSON for programs that collect logs.

Knows formats. Must not know what is logged.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TextIO

__all__ = ["JsonLines", "LogFormat", "begin_logging", "choose_format", "chosen_format", "line_about"]

_VARIABLE = "BANDSTAND_LOG_FORMAT"
_SUBJECTS = ("study", "run", "trial")
"""What a record may be about, given as `extra={"study": …}`."""


class LogFormat(StrEnum):
    """A format of log lines."""

    TEXT = "text"
    JSON = "json"


def choose_format(chosen: LogFormat) -> None:
    """For this process and those that it starts."""
    os.environ[_VARIABLE] = chosen.value


def chosen_format() -> LogFormat:
    """The format that BANDSTAND_LOG_FORMAT names; text where it names none."""
    return LogFormat.JSON if os.environ.get(_VARIABLE) == LogFormat.JSON else LogFormat.TEXT


def line_about(message: str, *, logger: str, level: str = "info", text: str | None = None, **about: object) -> str:
    """What a process says of itself, in the chosen format.

    Args:
        message: what it says.
        logger: who says it, for programs.
        level: how bad it is, for programs.
        text: the line for people; `message` when left out.
        about: study and trial, for programs; None stands for none.
    """
    if chosen_format() is LogFormat.TEXT:
        return message if text is None else text
    return _json(datetime.now(UTC), level, logger, message, {name: of for name, of in about.items() if of is not None})


def begin_logging(
    text_format: str,
    *,
    date_format: str | None = None,
    stream: TextIO | None = None,
    about: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Write warnings and what is worse to a stream, standard error by default.

    Args:
        text_format: of lines for people, as `logging` has it.
        date_format: of their times.
        stream: where to.
        about: what all records of this process are about, for programs.
    """
    logging.basicConfig(level=logging.WARNING, format=text_format, datefmt=date_format, stream=stream)
    if chosen_format() is LogFormat.JSON:
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines(about))


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, logger, message; study, run, trial and error if it has them."""

    def __init__(self, about: Mapping[str, object] = MappingProxyType({})):
        """`about` is what all records are about; a record may say otherwise."""
        super().__init__()
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        more = dict(self._about) | {name: getattr(record, name) for name in _SUBJECTS if hasattr(record, name)}
        if record.exc_info:
            more["error"] = self.formatException(record.exc_info)
        time = datetime.fromtimestamp(record.created, UTC)
        return _json(time, record.levelname.lower(), record.name, record.getMessage(), more)


def _json(time: datetime, level: str, logger: str, message: str, more: Mapping[str, object]) -> str:
    line = {"time": time.isoformat(timespec="milliseconds"), "level": level, "logger": logger, "message": message}
    return json.dumps(line | dict(more), default=str, ensure_ascii=False)
