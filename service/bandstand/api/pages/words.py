"""Numbers and moments as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import isfinite

__all__ = ["ago", "duration", "moment", "number", "plain_text"]

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def number(value: float | None) -> str:
    """Five significant digits; a dash for none."""
    if value is None or not isfinite(value):
        return "–" if value is None else str(value)
    return f"{value:.5g}"


def duration(seconds: float) -> str:
    """The two largest units: `45 s`, `3 min 20 s`, `5 h 02 min`, `3 d 4 h`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def ago(then: datetime) -> str:
    """`just now`, `3 min ago`, `5 h ago`, `2 d ago`, then the date."""
    seconds = (datetime.now(UTC) - then).total_seconds()
    if seconds < 60:
        return "just now"
    for limit, unit, size in ((3600, "min", 60), (86_400, "h", 3600), (14 * 86_400, "d", 86_400)):
        if seconds < limit:
            return f"{int(seconds // size)} {unit} ago"
    return f"{then:%Y-%m-%d}"


def moment(then: datetime) -> str:
    """To the second, in UTC."""
    return f"{then.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def plain_text(printed: str) -> str:
    """What a program printed, without colours and other commands to a terminal; of a line written over, the last."""
    lines = _ESCAPES.sub("", printed.replace("\r\n", "\n")).split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)
