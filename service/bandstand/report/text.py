"""Numbers, counts and names as people read them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from math import isfinite

__all__ = ["and_list", "counted", "duration", "label", "measured", "number", "shortened", "time_unit", "value_text"]


def number(value: float | None, digits: int = 4) -> str:
    """`value` with so many significant digits; a dash where there is none, words where it is not finite."""
    if value is None:
        return "–"
    if not isfinite(value):
        return "not a number" if value != value else "infinite" if value > 0 else "-infinite"
    if value == int(value) and abs(value) < 10**15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 10**digits <= abs(value) < 10**9 else f"{value:.{digits}g}"


def measured(value: float | None) -> str:
    """A metric's value with four significant digits, zeros at the end included, so that values line up."""
    if value is None or not isfinite(value) or not 1e-4 <= abs(value) < 1e4:
        return number(value)
    return f"{value:#.4g}".rstrip(".")


def value_text(value: object) -> str:
    """A parameter's value; integers without separators, as they are written in code."""
    return number(value) if isinstance(value, float) else str(value)


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 trial`, `2,000 trials`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def and_list(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def duration(seconds: float) -> str:
    """`42 s`, `12 minutes` or `3.4 hours`."""
    if not isfinite(seconds):
        return "an unknown time"
    if seconds < 120:
        return f"{number(seconds, 2)} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.3g} minutes"
    return f"{seconds / 3600:,.1f} hours"


def time_unit(seconds: float) -> tuple[float, str]:
    """What an axis up to so many seconds counts in: the unit's length in seconds and its name."""
    return (1.0, "seconds") if seconds < 300 else (60.0, "minutes") if seconds < 3 * 3600 else (3600.0, "hours")


def shortened(text: str, limit: int) -> str:
    """`text` in one line of at most `limit` characters, the last one a … where some are left out."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def label(text: str, limit: int = 40) -> str:
    """`text` for inside a figure, where plotly would take <b>, <a> and &lt; for markup."""
    return html.escape(shortened(text, limit), quote=False)
