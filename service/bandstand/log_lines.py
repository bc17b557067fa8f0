"""How processes that run by themselves write their logs: lines for people, or JSON for programs that collect logs.

Knows formats. Must not know what is logged.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

__all__ = ["JsonLines", "LogFormat", "begin_logging", "choose_format", "chosen_format"]

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


def begin_logging(text_format: str, *, date_format: str | None = None, stream: TextIO | None = None) -> None:
    """Write warnings and what is worse to a stream, standard error by default.

    Args:
        text_format: of lines for people, as `logging` has it.
        date_format: of their times.
        stream: where to.
    """
    logging.basicConfig(level=logging.WARNING, format=text_format, datefmt=date_format, stream=stream)
    if chosen_format() is LogFormat.JSON:
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines())


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, logger, message; study, run, trial and error if it has them."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _SUBJECTS if hasattr(record, name)}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
