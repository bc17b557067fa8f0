"""The pages say what the database says, to whoever may see it, and nothing of a study becomes part of a page."""

from __future__ import annotations

import re

import pytest

from bandstand.api.pages.addresses import address_of
from bandstand.store.accounts import Role
from bandstand.study.comparison_plan import make_plan
from bandstand.study.states import RunState
from bandstand.submissions import SubmissionQueue
from bandstand.submissions.queue import SubmissionTerms
from tests.service.api.browsing import log_in
from tests.service.api.staged import StagedStudy, make_spec, run_job

EVIL = "<script>alert(1)</script> \"x\" 'y' & <b>bold</b>"


@pytest.fixture(scope="module")
def browser(app, store):
    return log_in(app, store)


def text_of(page):
    """What is read, in one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.text).split())


def test_the_front_page_has_each_study_with_its_state_best_and_cost(browser, store):
    spec = make_spec(name="front-finished")
    SubmissionQueue(store).submit_study(spec, SubmissionTerms(submitter="ada"))
    with StagedStudy(store, spec) as study:
        while study.train_one(0.87654):
            pass
        study.set(wall_seconds=75)
        study.end()
    page = browser.get("/?state=finished")
    row = re.search(r"<tr>(?:(?!</tr>).)*front-finished.*?</tr>", page.text, re.DOTALL)[0]
    said = " ".join(re.sub(r"<[^>]*>", " ", row).split())
    best = store.progress(spec.name).best.value
    for part in ("finished", "random + asha", f"{best:.5g}", "val_accuracy", "60 of 60 epochs", "1 min 15 s", "ada"):
        assert part in said, part
    assert 'href="/web/studies/front-finished"' in row
    assert 'href="/studies/front-finished/report"' in row
    assert re.search(r'href="/dashboard/studies/\d+"', row)


def test_the_list_is_filtered_by_state_and_by_whose_it_is_and_comes_in_pages(browser, store, monkeypatch):
    monkeypatch.setattr("bandstand.api.pages.content.listing.PAGE_SIZE", 2)
    monkeypatch.setattr("bandstand.api.pages.front.PAGE_SIZE", 2)
    for number, user in enumerate(["ada", "grace", "ada", "ada"]):
        SubmissionQueue(store).submit_study(make_spec(name=f"paged-{number}"), SubmissionTerms(submitter=user))
        SubmissionQueue(store).stop(f"paged-{number}")
    found = [
        re.findall(r'href="/web/studies/(paged-\d)"', browser.get(f"/?state=stopped&page={n}").text) for n in (1, 2)
    ]
    assert found == [["paged-3", "paged-2"], ["paged-1", "paged-0"]]
    mine = browser.get("/?state=stopped&mine=true")
    assert re.findall(r'href="/web/studies/(paged-\d)"', mine.text) == ["paged-3", "paged-2"]
    assert "page=2" in mine.text
    assert "There is no page 999" in browser.get("/?state=stopped&page=999").text


def test_a_comparison_is_one_line_and_its_studies_are_on_its_page(browser, store):
    plan = store.plans.keep(make_plan("page-comparison", make_spec(name="c"), ["tpe+asha"], 2))
    SubmissionQueue(store).submit_comparison(plan, SubmissionTerms(submitter="ada"))
    dispatch, run = run_job(store, plan.name, "comparing\n")
    first, *_ = plan.studies()
    with StagedStudy(store, first.spec) as study:
        study.train_one(0.8)
        assert "running" in text_of(browser.get("/web/comparisons/page-comparison"))
        study.end()
    front = browser.get("/")
    assert 'href="/web/comparisons/page-comparison"' in front.text
    assert f"/web/studies/{first.spec.name}" not in front.text
    page = browser.get("/web/comparisons/page-comparison")
    assert f"1 of {len(plan.studies())} finished" in text_of(page)
    assert f'href="/web/studies/{first.spec.name}"' in page.text
    assert f"So far {first.arm} has the best mean val_accuracy" in text_of(page)
    part = browser.get(f"/web/studies/{first.spec.name}")
    assert 'href="/web/comparisons/page-comparison"' in part.text
    dispatch.end_run(run, RunState.FAILED, "killed")


def test_what_waits_says_why(browser, store):
    SubmissionQueue(store).submit_study(make_spec(name="waits"), SubmissionTerms(submitter="ada", priority=50))
    said = text_of(browser.get("/"))
    assert re.search(r"waits ada, just now , priority 50: (next|no server)", said)
    dispatch, run = run_job(store, "waits", "oops\n")
    dispatch.end_run(run, RunState.FAILED, "the exit code was 1")
    said = text_of(browser.get("/"))
    assert "the job ended early (the exit code was 1); the next try is in" in said
    assert "queued" in text_of(browser.get("/web/studies/waits"))
    SubmissionQueue(store).stop("waits")


def test_a_study_page_has_its_running_trials_its_ended_ones_with_reasons_and_its_log(browser, store):
    spec = make_spec(name="page/with slash?", notes="n")
    SubmissionQueue(store).submit_study(spec, SubmissionTerms(submitter="ada"))
    dispatch, run = run_job(store, spec.name, "first line\n\x1b[31mred\x1b[0m line\n")
    address = address_of("/web/studies", spec.name)
    assert "starting" in text_of(browser.get(address))
    with StagedStudy(store, spec) as study:
        study.train_one(0.9)
        study.train_one(0.5, error="ValueError: shapes")
        study.train_one(0.7, epochs=1)
        page = browser.get(address)
        said = text_of(page)
        for part in ("running", "ValueError: shapes", "Running trials", "first line red line", "Rungs", "Stop"):
            assert part in said, part
        assert re.search(r'<path class="line" d="M[0-9.]+ ', page.text)
        assert "\x1b" not in page.text
    log = browser.get(address_of("/web/logs", spec.name))
    assert log.headers["content-type"].startswith("text/plain")
    assert log.text.startswith("first line\n")
    dispatch.end_run(run, RunState.FAILED)
    SubmissionQueue(store).stop(spec.name)


def test_only_whoever_may_change_a_study_is_offered_to(app, store):
    spec = make_spec(name="buttons")
    SubmissionQueue(store).submit_study(spec, SubmissionTerms(submitter="ada"))
    offered = {}
    for user, role in (("ada", Role.SUBMITTER), ("grace", Role.SUBMITTER), ("ada", Role.VIEWER), ("root", Role.ADMIN)):
        page = log_in(app, store, user, role).get("/web/studies/buttons")
        offered[user, role] = 'data-action="/studies/buttons/stop"' in page.text
    assert list(offered.values()) == [True, False, False, True]
    SubmissionQueue(store).stop("buttons")


def test_markup_in_names_params_messages_and_logs_stays_text(browser, store):
    spec = make_spec(
        name=EVIL,
        space={"activation": {"type": "categorical", "choices": [EVIL, "relu"]}},
        objective={"metric": EVIL, "direction": "maximize"},
    )
    SubmissionQueue(store).submit_study(spec, SubmissionTerms(submitter="ada"))
    dispatch, run = run_job(store, EVIL, f"{EVIL}\n")
    with StagedStudy(store, spec) as study:
        study.train_one(error=EVIL)
        study.train_one(epochs=1)
        study.end("failed", EVIL)
    for address in ("/", address_of("/web/studies", EVIL)):
        page = browser.get(address)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<b>bold" not in page.text
        assert "&lt;script&gt;alert" in page.text
    assert "&lt;script&gt;" in browser.get("/web/studies/<script>").text
    dispatch.end_run(run, RunState.SUCCEEDED)


def test_errors_are_pages_for_people_and_problems_for_programs(browser):
    page = browser.get("/web/studies/nowhere-to-be-found")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "there is no study" in page.text
    program = browser.get("/web/studies/nowhere-to-be-found", headers={"Accept": "*/*"})
    assert program.headers["content-type"] == "application/problem+json"
    assert browser.get("/nothing/here").headers["content-type"].startswith("text/html")


def test_every_answer_has_its_headers_and_no_page_allows_scripts_of_its_own(browser):
    for address in ("/", "/login", "/healthz", "/web/static/pages.js", "/nothing", "/me"):
        headers = browser.get(address).headers
        assert headers["x-content-type-options"] == "nosniff", address
        assert headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
    page = browser.get("/").text
    assert not re.search(r"<script(?! src=)|style=|\son[a-z]+=", page)


def test_a_name_of_any_kind_has_an_address():
    assert address_of("/web/studies", "a/b") == "/web/studies/a/b"
    assert address_of("/web/studies", "a/../b", "stop") == "/web/studies/a%2F..%2Fb/stop"
    assert address_of("/web/studies", "ä ?#%") == "/web/studies/%C3%A4%20%3F%23%25"
