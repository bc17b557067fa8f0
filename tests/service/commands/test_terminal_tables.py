"""Tables on terminals that are too narrow for them, and in pipes."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bandstand.report.forms.terminal_tables import make_console, print_table

HEADER = ("strategy", *(f"epoch {epoch}" for epoch in (1, 3, 9, 27, 81)))
ROWS = [
    ("random+asha:min_epochs=1", "1,234 (20%)", "411 (20%)", "137 (20%)", "45 (20%)", "15 (20%)"),
    ("pbt", "–", "20 (33%)", "–", "20 (33%)", "20 (34%)"),
]
CELLS = [cell for row in (HEADER, *ROWS) for cell in row[1:]]


@pytest.fixture
def printed():
    def make(width, header=HEADER, rows=ROWS, **options):
        console = Console(file=io.StringIO(), width=width)
        print_table(console, header, rows, **options)
        return console.file.getvalue()

    return make


def test_a_table_that_has_room_is_printed_once_a_line_a_row(printed):
    lines = printed(100).splitlines()
    assert [line.split("  ")[0].rstrip() for line in lines] == ["strategy", "random+asha:min_epochs=1", "pbt"]
    assert "1,234 (20%)  411 (20%)" in lines[1]


@pytest.mark.parametrize("width", [80, 60, 40, 30])
def test_on_a_narrow_terminal_no_number_is_cut(printed, width):
    out = printed(width)
    assert "…" not in out
    assert all(len(line.rstrip()) <= width for line in out.splitlines())
    for cell in set(CELLS):
        assert out.count(cell) >= CELLS.count(cell)


def test_columns_that_have_no_room_follow_below_with_the_first_one_again(printed):
    blocks = printed(40).split("\n\n")
    assert len(blocks) > 1
    for block in blocks:
        assert block.startswith("strategy")
        assert "\npbt" in block


def test_only_texts_are_folded(printed):
    header, rows = ("trial", "val_loss", "params"), [("7", "0.1234", "learning_rate 0.00123, units 64, dropout 0.25")]
    lines = printed(40, header, rows, folded=(2,)).splitlines()
    assert len(lines) > 2
    assert lines[1].lstrip().startswith("7    0.1234  learning_rate")
    assert " ".join(line[17:].strip() for line in lines[1:]) == rows[0][2]


def test_square_brackets_are_no_markup(printed):
    assert "[0.1, 0.2]" in printed(80, ("arm", "interval"), [("a", "[0.1, 0.2]")])


def test_in_a_pipe_every_row_is_one_line(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    rows = [("a" * 300, "1", "b" * 300)]
    print_table(make_console(), ("name", "number", "text"), rows, folded=(0, 2))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["name", "number", "text"], list(rows[0])]
