"""The page: nothing from a study is markup, nothing is loaded, nothing is empty."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from bandstand.problem.objective import Objective
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.figures import REPORTS
from bandstand.report.forms.page import write_report
from bandstand.trials.best import Seen
from bandstand.trials.events import Combined
from tests.service.report.written_page import Page

EVIL = "<script>alert(1)</script> <b>Größe</b> 'ключ' \"&amp;"


@pytest.fixture
def read(tmp_path):
    """The page of a record, parsed, and its text."""

    def write_and_read(record, others=()):
        path = tmp_path / "report.html"
        write_report(record, path, others)
        return Page(path.read_text(encoding="utf-8"))

    return write_and_read


@pytest.fixture
def evil(make_record, make_spec, run):
    """A study where everything that can hold text holds markup, and numbers are not finite."""
    objective = Objective(metric=EVIL, direction="minimize")
    spec = make_spec(name=EVIL, notes=EVIL + "</pre><img src=x>", objective=objective)
    runs = [
        run([3.0, math.inf, 2.0]),
        run([2.5, 2.4], "pruned", EVIL),
        run([math.nan, -math.inf], "failed", EVIL, EVIL),
        run([2.2], "running", ""),
    ]
    metrics = {EVIL: math.nan, "loss": math.inf}
    return make_record(runs, spec=spec, state="running", notices=[EVIL], test_metrics=metrics)


def test_text_from_a_study_is_shown_as_text_and_never_becomes_a_tag(read, evil, make_record, make_spec, run):
    other = make_record([run([3.0]), run([2.0])], spec=make_spec(name=EVIL + "2", objective=evil.spec.objective))
    page = read(evil, [other])
    assert {tag for tag, _ in page.tags}.isdisjoint({"b", "img"})
    assert all("alert" not in text for attrs, text in page.scripts if "application/json" not in attrs.values())
    assert page.words.count(EVIL) >= 7
    assert "not a number" in page.words


def test_labels_inside_figures_are_escaped_because_plotly_reads_markup_there(read, evil, make_record, make_spec, run):
    other = make_record([run([3.0]), run([2.0])], spec=make_spec(name=EVIL + "2", objective=evil.spec.objective))
    figures = json.dumps(read(evil, [other]).figures, ensure_ascii=False)
    assert "&lt;script&gt;" in figures
    assert re.findall("<(?!br>|extra></extra>|/extra>)", figures) == []


def test_no_data_can_end_the_script_element_that_holds_it(read, evil):
    page = read(evil)
    data = [text for attrs, text in page.scripts if attrs.get("type") == "application/json"]
    assert len(data) >= 3
    assert all("<" not in text for text in data)


def test_values_that_are_not_finite_leave_valid_json(read, evil):
    assert read(evil).figures  # json.loads of the page's scripts would accept NaN, a browser would not:
    text = json.dumps(read(evil).figures)
    assert "NaN" not in text
    assert "Infinity" not in text


def test_the_page_loads_nothing_and_forbids_itself_to(read, make_synthetic):
    page = read(make_synthetic(trials=20, max_epochs=9, prune=True))
    loads = {"src", "href", "srcset", "action", "data", "poster"}
    assert [attrs for _, attrs in page.tags if loads & set(attrs)] == []
    assert {"link", "iframe", "object", "img", "base"}.isdisjoint({tag for tag, _ in page.tags})
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_plotly_is_in_the_page_exactly_once(read, make_synthetic):
    page = read(make_synthetic(trials=20, max_epochs=9, prune=True))
    assert sum(attrs.get("id") == "plotly" for attrs, _ in page.scripts) == 1


def test_every_figure_has_its_place_its_data_and_a_caption(read, make_synthetic):
    record = make_synthetic(trials=40, max_epochs=9, prune=True, children=True)
    page = read(record, [make_synthetic(trials=6, max_epochs=9, prune=False, spec=record.spec)])
    places = [attrs["data-figure"] for _, attrs in page.tags if "data-figure" in attrs]
    assert places == [f"data-{name}" for name in REPORTS]
    assert set(page.figures) == set(places)
    assert sum(attrs.get("class") == "caption" for _, attrs in page.tags) == len(REPORTS)
    assert all(figure["data"] for figure in page.figures.values())


def test_a_study_without_trials_has_a_sentence_for_every_figure(read, make_record):
    page = read(make_record([], state="running"))
    assert page.figures == {}
    # There is nothing to compare with, and no trial has a parent.
    assert sum(attrs.get("class") == "sentence" for _, attrs in page.tags) == len(REPORTS) - 2
    assert "No trial has a usable val_loss yet." in page.words


def test_the_page_begins_with_the_answer(read, make_record, run):
    runs = [run([5.0, 2.0, 3.0]), run([4.0], "pruned"), run([math.nan], "failed", "diverged", "not finite")]
    page = read(make_record(runs, test_metrics={"loss": 2.25}))
    assert (
        "Trial 0 is the best: val_loss 2.000 (lower is better) in epoch 2 of 3. On the test data (looked at once), "
        "its model reached loss 2.250. The search cost 5 epochs in 3 trials (1 complete, 1 pruned, 1 failed) and 12.6 "
        "minutes. The study is finished: the budget is used up."
    ) in page.words


def test_data_without_a_test_split_are_told_and_so_is_why_a_study_stopped(read, make_record, run):
    examples = {"data": "0123456789abcdef", "examples": "train 1,000, validation 200"}
    page = read(make_record([run([5.0, 2.0])], environment=examples))
    assert "The data have no test split, so its model was not measured on unseen data." in page.words
    page = read(make_record([run([5.0, 2.0])], environment=examples | {"examples": "test 9, train 9, validation 9"}))
    assert "Its model was not measured on the test data." in page.words
    stopped = read(make_record([run([5.0, 2.0])], state="stopped", reason="a trainer has other data"))
    assert "The study was stopped: a trainer has other data." in stopped.words


def test_a_best_trial_with_a_parent_is_told_as_the_end_of_a_schedule(read, make_record, run):
    at_the_end = {"learning_rate": 1e-4, "optimizer": "adam"}
    children = [
        run([1.0], parent=0, from_epoch=2, params=at_the_end),
        run([0.5], parent=1, from_epoch=3, params=at_the_end),
    ]
    page = read(make_record([run([5.0, 2.0]), *children]))
    assert "Its weights come from trials 0 and 1, which had other params." in page.words
    assert "better values may lie beyond" not in page.words
    alone = read(make_record([run([5.0, 2.0], params=at_the_end)]))
    assert "Its weights come from" not in alone.words
    assert "better values may lie beyond" in alone.words


def test_a_combined_model_is_told_as_what_was_measured(read, make_record, run):
    average = Combined(how="average", trials=(0, 1), taken=True, value=1.5, snapshot_value=2.0)
    page = read(make_record([run([5.0, 2.0]), run([2.5])], combined=average, test_metrics={"loss": 2.25}))
    assert (
        "The study's model is the average of the last weights of trials 0 and 1: val_loss 1.500 on validation data. "
        "On the test data (looked at once), the average reached loss 2.250."
    ) in page.words
    not_taken = replace(average, taken=False, value=3.0)
    page = read(make_record([run([5.0, 2.0]), run([2.5])], combined=not_taken, test_metrics={"loss": 2.25}))
    assert "On the test data (looked at once), its model reached loss 2.250." in page.words


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("running", "The study is still running, so these results may change."),
        ("stopped", "The study was stopped before it was done. To continue it, run it again."),
        ("interrupted", "The study was interrupted, and no process is running it now."),
        ("failed", "The study failed: every trial failed."),
    ],
)
def test_an_unfinished_study_says_so(read, make_record, run, state, sentence):
    reason = "every trial failed" if state == "failed" else ""
    assert sentence in read(make_record([run([1.0])], state=state, reason=reason)).words


def test_of_a_best_trial_that_was_pruned_or_failed_later_the_answer_says_so(read, make_record, run):
    words = read(make_record([run([2.0]), run([1.0, 3.0], "pruned")])).words
    assert "Trial 1 is the best: val_loss 1.000 (lower is better) in epoch 1 of 2. It was pruned later" in words
    words = read(make_record([run([1.0, 3.0], "failed")])).words
    assert "It failed later. Its best epoch still counts." in words


def test_where_the_last_epoch_counts_the_answer_says_what_was_seen_beyond_it(read, make_record, make_spec, run):
    record = make_record([run([1.0, 2.0])], spec=make_spec(objective=Objective(epoch="last")))
    seen = Seen(value=1.0, number=0, epoch=1, state="complete")
    words = read(replace(record, best=replace(record.best, seen=seen))).words
    assert (
        "Trial 0 is the best: val_loss 2.000 (lower is better) in epoch 2, its last epoch. The lowest value of any "
        "epoch is 1.000, in epoch 1 of trial 0 (complete). It does not count because objective.epoch = 'last' takes "
        "the last epoch of each trial."
    ) in words
    pruned = make_record([run([1.0], "pruned")], spec=record.spec)
    assert "so it is the best of the short trainings" in read(pruned).words


def test_a_best_model_that_is_lost_is_said_and_another_ones_test_result_is_called_that(read, make_record, run):
    record = make_record([run([2.0]), run([1.0])], test_metrics={"loss": 2.25}, model_trial=0)
    words = read(replace(record, best=replace(record.best, model_path=None))).words
    assert "Its model is lost" in words
    assert (
        "(looked at once), the model of trial 0 (the model file of the best trial is missing) reached loss "
        "2.250." in words
    )
    assert "its model reached" not in words


def test_failures_are_listed_by_reason_with_their_message(read, make_record, run):
    failed = run([math.nan], "failed", "out_of_memory", "2 GiB wanted")
    page = read(make_record([run([1.0]), failed, failed, run([], "failed", "exception", "KeyError: 'units'")]))
    assert "out of memory2 GiB wanted2 (trials 1 and 2)" in page.words
    assert "exceptionKeyError: 'units'1 (trial 3)" in page.words
    assert "Failed trials" not in read(make_record([run([1.0])])).words


def test_best_parameters_say_what_was_not_active_and_what_lies_at_an_end(read, make_record, run):
    page = read(make_record([run([1.0], params={"learning_rate": 0.0999, "optimizer": "adam"})]))
    assert "not active (it exists only with optimizer = sgd)" in page.words
    assert "0.0001 to 0.1, logarithmic (the best is at the upper end; better values may lie beyond it)" in page.words


def test_a_large_study_makes_a_small_page(tmp_path, make_synthetic, read):
    record = make_synthetic(trials=2000, max_epochs=20, prune=False)
    page = read(record, [record])
    assert "The figure shows 200 of" in page.words
    assert (tmp_path / "report.html").stat().st_size < 5_000_000


@pytest.mark.parametrize("name", REPORTS)
def test_every_registered_report_draws_or_says_why_not(name, make_record, make_synthetic):
    record = make_synthetic(trials=30, max_epochs=9, prune=True, children=True)
    drawn = REPORTS[name].draw(record, [record])
    assert isinstance(drawn, Drawing)
    assert drawn.figure.data
    assert drawn.caption
    assert drawn.figure.layout.height
    assert isinstance(REPORTS[name].draw(make_record([]), []), str)
    assert REPORTS[name].title
    assert REPORTS[name].needs


def test_the_registry_is_there_without_plotly_pandas_and_optuna():
    code = (
        "import sys; from bandstand.report.figures import REPORTS; import bandstand.report.forms.page; "
        "print([name for name in ('plotly', 'pandas', 'optuna') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
