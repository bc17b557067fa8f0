"""What a benchmark found: as a table for the terminal, and as a section of the page of results."""

from __future__ import annotations

import datetime
import os
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

__all__ = ["PAGE", "Result", "Section", "machine_in_words", "table_lines", "write_section"]

PAGE = Path(__file__).parents[1] / "README.md"
_BEGIN, _END = "<!-- results begin -->", "<!-- results end -->"


@dataclass(frozen=True, kw_only=True)
class Result:
    """Bandstand against one other, over some repeats. A ratio is theirs / ours: above 1, Bandstand is faster."""

    what: str
    against: str
    unit: str
    ours: tuple[float, ...]  # one for each repeat, in `unit`
    theirs: tuple[float, ...]
    ours_whole: tuple[float, ...]  # the whole study, not only the time in which it trained
    aim: float | None = None  # the least ratio that is wanted

    @property
    def ratios(self) -> list[float]:
        """One for each repeat: what ran side by side."""
        return [theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def whole_ratio(self) -> float:
        """The median ratio to the whole study."""
        return statistics.median(theirs / ours for ours, theirs in zip(self.ours_whole, self.theirs, strict=True))

    @property
    def is_reached(self) -> bool | None:
        """Whether the median ratio is what was aimed at."""
        return None if self.aim is None else statistics.median(self.ratios) >= self.aim


@dataclass(frozen=True, kw_only=True)
class Section:
    """What a benchmark has to say on the page of results."""

    title: str
    lines: list[str]  # Markdown that reads well on a terminal too; none: nothing could be compared


_COLUMNS = ("against", "Bandstand", "theirs", "ratio", "least", "most", "whole study", "aim", "reached")


def _cells(result: Result) -> list[str]:
    ours, theirs = (f"{statistics.median(times):.1f} {result.unit}" for times in (result.ours, result.theirs))
    ratios = (statistics.median(result.ratios), min(result.ratios), max(result.ratios), result.whole_ratio)
    aim = "" if result.aim is None else f"{result.aim:.2f}"
    reached = {None: "", True: "yes", False: "no"}[result.is_reached]
    return [result.against, ours, theirs, *(f"{ratio:.2f}" for ratio in ratios), aim, reached]


def table_lines(results: Sequence[Result]) -> list[str]:
    """A Markdown table that also reads well on a terminal."""
    rows = [list(_COLUMNS), *(_cells(result) for result in results)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(_COLUMNS))]
    rows.insert(1, ["-" * width for width in widths])
    return [f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |" for row in rows]


def machine_in_words() -> str:
    """What a reader needs to judge the figures. A busy machine moves them, so its load is named too."""
    parts = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "optuna", "ray"))
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores{load}; "
        f"Python {platform.python_version()}, {parts}"
    )


def write_section(name: str, section: Section, *, machine: str, command: str, repeats: int, page: Path) -> None:
    """Put a benchmark's results between the markers of the page, in place of its earlier ones.

    Raises:
        ValueError: the page lacks its markers.
    """
    text = page.read_text()
    if text.count(_BEGIN) != 1 or text.count(_END) != 1:
        raise ValueError(f"{page.name} must hold {_BEGIN} and {_END} once each, so that results have their place")
    head, rest = text.split(_BEGIN)
    body, tail = rest.split(_END)
    sections = {part.split("\n")[0]: part.strip() for part in re.split(r"^### ", body, flags=re.MULTILINE)[1:]}
    date = datetime.datetime.now(datetime.UTC).date()
    times = "1 repeat" if repeats == 1 else f"{repeats} repeats"
    about = f"{section.title}. {date}, {machine}: `{command}`, {times}."
    sections[name] = "\n".join([name, "", about, "", *section.lines])
    written = "\n\n".join(f"### {part}" for part in sections.values())
    page.write_text(f"{head}{_BEGIN}\n\n{written}\n\n{_END}{tail}")
