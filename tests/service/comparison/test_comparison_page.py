"""The page, Markdown and JSON of a comparison: right whatever state it is in, never markup from a name."""

import json
import math
import re

import pytest

from bandstand.comparison.anytime import anytime_data
from bandstand.comparison.conclusions import judge
from bandstand.comparison.differences import difference_data
from bandstand.comparison.final_values import final_data
from bandstand.comparison.numbers import json_from
from bandstand.comparison.outline import make_comparison_report
from bandstand.comparison.wins import wins_data
from bandstand.report.forms.markdown_form import markdown_from
from bandstand.report.forms.page import write_document
from tests.service.report.written_page import Page

EVIL = "<script>alert(1)</script> <b>Größe</b> 'ключ'"


@pytest.fixture
def results(make_results_of):
    return make_results_of(
        {
            "tpe+asha": [[0.5, 0.6, 0.7, 0.9], [0.4, 0.8, 0.7, 0.6], [0.1, 0.5, 0.6, 0.7]],
            "random": [[0.3, 0.3, 0.5, 0.7], [0.5, 0.6, 0.6, 0.6], [0.1, 0.2, 0.3, 0.4]],
            "grid": [[0.3, 0.3, 0.3, 0.6], [0.5, 0.5, 0.5, 0.5], [0.1, 0.2, 0.3, 0.3]],
        }
    )


@pytest.fixture
def page_of(tmp_path):
    def write(results):
        path = tmp_path / "comparison.html"
        write_document(make_comparison_report(results), path)
        return Page(path.read_text(encoding="utf-8"))

    return write


def test_the_best_so_far_is_a_median_over_repeats_from_where_all_have_a_value(results):
    data = anytime_data(results, "epochs")
    band = data.bands[0]
    at = dict(zip(band.x, zip(band.middle, band.low, band.high, strict=True), strict=True))
    assert band.x[0] == pytest.approx(1.0, abs=4 / 200)
    assert at[4.0] == (0.8, 0.7, 0.9)
    assert at[2.0] == (0.6, 0.5, 0.8)
    assert [band.label for band in data.bands] == ["tpe+asha", "random", "grid"]


def test_time_is_what_the_epochs_took(results):
    data = anytime_data(results, "seconds")
    assert data.axis == "training time, all workers together (seconds)"
    assert data.bands[0].x[-1] == 8.0  # four epochs of two seconds


def test_final_values_have_the_best_arm_first(results):
    data = final_data(results, judge(results))
    assert [arm.label for arm in data.arms] == ["tpe+asha", "random", "grid"]
    assert data.arms[0].validation == (0.9, 0.8, 0.7)
    assert data.arms[0].test == pytest.approx((0.89, 0.79, 0.69))


def test_differences_are_to_both_baselines(results):
    rows = {(row.arm, row.baseline): row for row in difference_data(judge(results)).rows}
    assert rows["tpe+asha", "random"].differences == pytest.approx((0.2, 0.2, 0.3))
    assert set(rows) == {
        ("tpe+asha", "random"), ("grid", "random"), ("tpe+asha", "grid"), ("random", "grid"),
    }  # fmt: skip
    assert not any(row.shown for row in rows.values())


def test_the_table_of_wins_adds_up(results):
    data = wins_data(judge(results))
    for row, mine in enumerate(data.shares):
        for column, share in enumerate(mine):
            assert (share is None) == (row == column)
            assert share is None or share + data.shares[column][row] == pytest.approx(1.0)


def test_the_page_begins_with_the_answer_and_has_every_figure(results, page_of):
    page = page_of(results)
    assert page.words.index("has the best average") < page.words.index("Best value by epochs")
    assert set(page.figures) >= {
        f"data-{name}" for name in ("by_epochs", "by_seconds", "final_values", "differences", "wins")
    }
    assert all(figure["data"] for figure in page.figures.values())


def test_a_name_is_text_on_the_page_and_in_markdown(make_results_of, page_of):
    results = make_results_of({"tpe+asha": [[0.5, 0.6]], "random": [[0.4, 0.5]], "grid": [[0.4, 0.4]]}, name=EVIL)
    page = page_of(results)
    assert EVIL in page.words
    assert not [tag for tag, _ in page.tags if tag == "b"]
    assert not [text for attrs, text in page.scripts if "alert" in text and "type" not in attrs]
    prose = re.sub(r"(?s)```.*?```", "", markdown_from(make_comparison_report(results)))  # code is shown as it is
    assert not re.search(r"(?<!\\)<", prose)
    assert json_from(results)["name"] == EVIL


@pytest.mark.parametrize("arms", [{"tpe+asha": [None]}, {"tpe+asha": [[math.nan, math.nan]]}], ids=["nothing", "NaN"])
def test_without_a_value_there_are_sentences_instead_of_figures(make_results_of, page_of, arms):
    page = page_of(make_results_of(arms))
    assert not page.figures
    assert page.words.count("No study of this comparison has finished with a value yet.") >= 3


def test_one_repeat_has_no_band_and_no_interval(make_results_of, page_of):
    page = page_of(make_results_of({"tpe+asha": [[0.5, 0.6]], "random": [[0.4, 0.5]], "grid": [[0.4, 0.4]]}))
    assert "Each line is the best val_accuracy so far of one repeat (higher is better)." in page.words
    assert "nan" not in page.words.lower().replace("finance", "")
    assert "±" not in page.words


def test_without_a_test_split_values_are_of_the_validation_data(make_results_of, page_of):
    results = make_results_of({"tpe+asha": [[0.5, 0.6]], "random": [[0.4, 0.5]], "grid": [[0.4, 0.4]]}, test=False)
    page = page_of(results)
    assert "on the validation data" in page.words
    assert "The data have no test split" in page.words


def test_markdown_names_the_study_or_the_comparison_that_each_figure_is_drawn_for(results):
    text = markdown_from(make_comparison_report(results))
    assert "bandstand figure cmp by_epochs -o by_epochs.svg" in text
    assert "bandstand figure cmp/tpe+asha/1 learning_curves -o learning_curves.svg" in text


def test_the_numbers_are_complete_and_strict_json(results):
    found = json.loads(json.dumps(json_from(results), allow_nan=False))
    assert [arm["label"] for arm in found["arms"]] == ["tpe+asha", "random", "grid"]
    assert len(found["arms"][0]["studies"]) == 3
    assert found["winner"] is None
    assert found["against"]["random"][0]["found"]["differences"] == pytest.approx([0.2, 0.2, 0.3])


def test_the_best_study_of_the_leading_arm_is_shown_in_full(results, page_of):
    page = page_of(results)
    assert "The sections below show the study with the best validation value: cmp/tpe+asha/1." in page.words
    for heading in ("Params that tpe+asha chose", "Best configuration", "Learning curves", "Where the budget went"):
        assert heading in page.words


def test_the_page_says_how_to_run_it_again(results, page_of):
    page = page_of(results)
    assert "bandstand compare comparison.toml --strategies tpe+asha,random,grid --repeats 3 --as cmp" in page.words
    assert 'metric = "val_accuracy"' in page.words
