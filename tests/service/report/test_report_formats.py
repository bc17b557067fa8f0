"""The formats and styles of a report: the same parts, nothing from a study ever markup."""

import json
import math
import re

import pytest
from markdown_it import MarkdownIt

from bandstand.errors import InputError
from bandstand.problem.objective import Objective
from bandstand.report.figures import REPORTS
from bandstand.report.forms.page import FORMATS, format_of, write_report
from bandstand.report.outline import CURVES, EFFECTS, HEADINGS, LINEAGES, SEARCH, SPENT

EVIL = "<script>alert(1)</script> <b>Größe</b> 'ключ' \"&amp; [x](http://evil) `code` | *bold* # no $x$"
FALL = [3.0 * 0.8**epoch for epoch in range(9)]


@pytest.fixture
def evil(make_record, make_spec, run):
    """A study where everything that can hold text holds markup, and numbers are not finite."""
    spec = make_spec(
        name=EVIL[:95],
        notes=f"{EVIL}\n1. no list\n+ nor this\n```",
        seed=3,
        objective=Objective(metric=EVIL, direction="minimize"),
    )
    runs = [
        run(FALL),
        run([2.5, math.inf], "pruned", EVIL),
        run([math.nan, -math.inf], "failed", EVIL, EVIL),
        run([2.2], "running", ""),
    ]
    environment = {"python": EVIL, EVIL: "1"}
    return make_record(runs, spec=spec, notices=[EVIL], test_metrics={EVIL: math.nan}, environment=environment)


@pytest.fixture
def write(tmp_path):
    """The text of a report in a format and a style."""

    def write_and_read(record, form="html", style="report", others=()):
        path = tmp_path / "report.out"
        write_report(record, path, others, form=form, style=style)
        return path.read_text(encoding="utf-8")

    return write_and_read


@pytest.mark.parametrize("style", ["report", "writeup"])
def test_markdown_holds_no_markup_of_a_study(write, evil, style):
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(write(evil, "md", style))
    tags = set(re.findall(r"</?([a-z0-9]+)", html))
    assert tags <= {"h1", "h2", "h3", "p", "strong", "ul", "li", "blockquote", "br", "pre", "code"} | {
        "table", "thead", "tbody", "tr", "th", "td",
    }  # fmt: skip
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &lt;b&gt;Größe" in html
    assert "<ol" not in html
    assert "<a" not in html
    assert not re.search(r"<strong>(?!What to doubt|Notes from the run)", html)


def test_markdown_names_the_command_that_draws_each_figure(write, make_synthetic):
    text = write(make_synthetic(trials=40, max_epochs=9, prune=True), "md")
    assert "bandstand figure mine history -o history.svg" in text
    assert "\n## Best configuration\n" in text
    assert "| learning\\_rate | " in text


@pytest.mark.parametrize("style", ["report", "writeup"])
def test_json_is_strict_and_holds_the_figures(write, evil, style):
    def refuse(constant):
        raise AssertionError(constant)

    content = json.loads(write(evil, "json", style), parse_constant=refuse)
    blocks = [block for section in content["sections"] for block in section["blocks"]]
    figures = {block["name"]: block for block in blocks if block["kind"] == "figure"}
    assert figures["learning_curves"]["figure"]["data"]
    assert content["title"] == EVIL[:95]
    assert {block["kind"] for block in blocks} >= {"figure", "table", "code"}


def test_a_writeup_has_its_headings_in_order_in_every_format(write, make_synthetic):
    record = make_synthetic(trials=30, max_epochs=9, prune=True)
    assert re.findall(r"<h2>(.*?)</h2>", write(record, "html", "writeup")) == list(HEADINGS)
    assert re.findall(r"(?m)^## (.*)$", write(record, "md", "writeup")) == list(HEADINGS)


def test_the_users_words_stand_under_the_heading_they_name(write, make_record, make_spec, run):
    notes = "Read digits fast.\n\n## Extensions:\nMore scanners.\n# Data Summary\n8 x 8 pixels.\n## Else\nstays"
    content = json.loads(write(make_record([run(FALL)], spec=make_spec(notes=notes)), "json", "writeup"))
    said = {
        section["title"]: block["text"]
        for section in content["sections"]
        for block in section["blocks"]
        if block.get("role") == "notes"
    }
    assert said == {
        "Problem": "Read digits fast.",
        "Extensions": "More scanners.",
        "Data summary": "8 x 8 pixels.\n## Else\nstays",
    }


def test_the_data_summary_of_a_writeup_says_what_the_latest_run_has_stored(write, make_record, run):
    environment = {"examples": "test 270, train 1,257, validation 271", "data": "0123456789abcdef"}
    told = write(make_record([run(FALL)], environment=environment), "md", "writeup")
    assert "1,257 examples to train with, 271 examples to validate with and 270 examples to test with." in told
    assert "fingerprint of its arrays is 0123456789abcdef" in told
    assert "was not stored" in write(make_record([run(FALL)], environment={}), "md", "writeup")


def test_the_outline_has_every_figure_once_and_in_the_order_of_the_registry():
    assert [*SEARCH, *EFFECTS, *CURVES, *SPENT, *LINEAGES] == list(REPORTS)


def test_a_writeup_without_another_study_says_that_there_is_no_baseline(write, make_synthetic):
    record = make_synthetic(trials=30, max_epochs=9, prune=True)
    assert "There is no other study to compare with" in write(record, "md", "writeup")
    assert "There is no other study to compare with" not in write(record, "md", "writeup", [record])


def test_how_to_reproduce_gives_file_command_seed_hardware_and_versions(write, make_record, make_spec, run):
    record = make_record(
        [run(FALL)],
        spec=make_spec(name="-it's", seed=42),
        environment={"keras": "3.15.1", "cpus": "8", "gpus": "1", "accelerator": "H200"},
    )
    content = json.loads(write(record, "json"))
    blocks = next(section for section in content["sections"] if section["name"] == "rerun")["blocks"]
    text = json.dumps(blocks)
    command = next(block["text"] for block in blocks if block.get("name") == "command")
    assert command == "bandstand run './-it'\"'\"'s.toml' --workers 1"
    assert 'name = "-it\'s"' in next(block["text"] for block in blocks if block.get("name") == "study-file")
    rows = next(block["rows"] for block in blocks if block["kind"] == "table")
    assert rows == [["cpus", "8"], ["gpus", "1"], ["accelerator", "H200"], ["keras", "3.15.1"]]
    assert "Seed 42 fixes every random draw." in text
    assert "No fingerprint of the data was stored" in text


def test_a_format_is_guessed_from_the_suffix_or_refused_in_one_line(tmp_path):
    assert [format_of(tmp_path / name) for name in ("a.html", "a.HTM", "a.md", "a.json")] == [
        "html",
        "html",
        "md",
        "json",
    ]
    assert format_of(tmp_path / "a.txt", "md") == "md"
    with pytest.raises(
        InputError, match=r"must end in one of html, md, json, or --format must name one of them; got 'a.pdf'$"
    ):
        format_of(tmp_path / "a.pdf")
    with pytest.raises(InputError, match="--format must be one of html, md, json; got 'pdf'"):
        format_of(tmp_path / "a.html", "pdf")


def test_an_unknown_style_is_refused(tmp_path, make_record, run):
    with pytest.raises(InputError, match="--style must be one of report, writeup; got 'poem'"):
        write_report(make_record([run(FALL)]), tmp_path / "a.md", style="poem")


@pytest.mark.parametrize("style", ["report", "writeup"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("state", ["running", "failed"])
def test_a_study_without_trials_or_completed_trials_makes_a_report_in_every_form(
    write, make_record, run, form, style, state
):
    assert "No trial has a usable" in write(make_record([], state=state), form, style)
    broken = run([math.nan], "failed", "diverged", "not finite")
    assert "not finite" in write(make_record([broken] * 3, state=state), form, style)
