"""The page of benchmark results is written by a program, so its format is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.measuring.results import PAGE, Result, Section, table_lines, write_section


def _result(theirs: float) -> Result:
    return Result(
        what="digits", against="bare fit", unit="s", ours=(2.0, 2.0), theirs=(theirs, 2 * theirs),
        ours_whole=(4.0, 4.0), aim=1.0,
    )  # fmt: skip


def test_a_ratio_above_one_says_that_bandstand_is_faster() -> None:
    assert _result(3.0).ratios == [1.5, 3.0]
    assert _result(3.0).is_reached
    assert not _result(1.0).is_reached
    assert _result(4.0).whole_ratio == 1.5


def test_an_earlier_section_of_the_page_is_replaced_and_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- results begin -->\n<!-- results end -->\nafter\n")
    for name, theirs in (("digits", 3.0), ("asha", 5.0), ("digits", 7.0)):
        section = Section(title="work", lines=table_lines([_result(theirs)]))
        write_section(name, section, machine="a machine", command="python", repeats=2, page=page)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert text.count("### digits") == text.count("### asha") == 1
    assert "10.5 s" in text and "7.5 s" in text and "4.5 s" not in text
    assert table_lines([_result(7.0)])[-1] in text


def test_a_page_without_markers_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("nothing here")
    with pytest.raises(ValueError, match="must hold"):
        write_section("digits", Section(title="x", lines=[]), machine="a", command="b", repeats=2, page=page)


def test_the_committed_page_has_its_markers() -> None:
    assert PAGE.read_text().count("<!-- results") == 2
