"""The pages in a real browser: what is live moves, what is forbidden is refused, nothing of a study runs."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bandstand.api import ServerSettings, make_app
from bandstand.api.pages.addresses import address_of
from bandstand.store.accounts import Role
from bandstand.study.comparison_plan import make_plan
from bandstand.study.states import RunState
from bandstand.submissions import SubmissionQueue
from bandstand.submissions.queue import SubmissionTerms
from tests.service.api.browsing import chromium, serve
from tests.service.api.staged import StagedStudy, make_spec, run_job

EVIL = "<img src=x onerror=\"document.title='gotcha'\"> <script>document.title='gotcha'</script>"
AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"
"""Has the page fetch itself now instead of a few seconds later."""


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(store):
    with serve(make_app(store, ServerSettings(requests_per_second=10_000))) as address:
        yield address


@pytest.fixture
def open_as(browser, address, store):
    """Makes a page on which somebody has logged in; at its end nothing may have complained on its console."""
    opened: list[tuple[Any, list[str]]] = []

    def open_page(user="ada", role=Role.SUBMITTER, width=1280, scheme="light"):
        context = browser.new_context(
            base_url=address, viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        context.set_default_timeout(60_000)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto("/")
        page.get_by_label("Token").fill(store.accounts.create_token(user, role, days=1).text)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Studies").wait_for()
        opened.append((context, complaints))
        return page

    yield open_page
    for context, complaints in opened:
        context.close()
        assert not [said for said in complaints if not re.search(r"with a status of 40[349] ", said)]  # asked for


@contextmanager
def running(store, spec, printed="") -> Iterator[tuple[StagedStudy, threading.Event]]:
    """A submitted study that trains a trial now and then in a thread until the event is set, and is finished then."""
    SubmissionQueue(store).submit_study(spec, SubmissionTerms(submitter="ada"))
    dispatch, run = run_job(store, spec.name, printed)
    stop = threading.Event()
    with StagedStudy(store, spec) as study:

        def train():
            value = 0.5
            while not stop.wait(0.3) and study.train_one(value, epochs=None if value < 0.6 else 2):
                value = min(0.9, value + 0.05)
            study.end()
            dispatch.end_run(run, RunState.SUCCEEDED)

        thread = threading.Thread(target=train)
        thread.start()
        try:
            yield study, stop
        finally:
            stop.set()
            thread.join(60)


def test_somebody_logs_in_and_watches_a_study_run_and_finish_without_a_reload(open_as, store):
    spec = make_spec(name="watched", budget={"epochs": 2000})
    page = open_as()
    with running(store, spec, "the job begins\n") as (_, stop):
        page.get_by_role("link", name="watched", exact=True).click()
        page.evaluate("window.untouched = true")
        page.locator("h1 .state.running").wait_for()
        page.get_by_text("Running trials").wait_for()
        page.get_by_role("img", name="The best val_accuracy went from").wait_for()
        assert page.get_by_label("The job's log").inner_text().strip() == "the job begins"
        before = page.locator("[data-live=figures]").inner_text()
        page.wait_for_function("text => document.querySelector('[data-live=figures]').innerText !== text", arg=before)
        stop.set()
        page.locator("h1 .state.finished").wait_for()
    assert page.title() == "watched: finished · Bandstand"
    assert page.evaluate("window.untouched") is True
    page.get_by_role("link", name="Optuna Dashboard").first.wait_for()


def test_a_viewer_opens_optuna_dashboard_on_a_study_and_is_refused_every_write(open_as, store):
    spec = make_spec(name="reviewed")
    with StagedStudy(store, spec) as study:
        while study.train_one(0.9):
            pass
        study.end()
    page = open_as("vera", Role.VIEWER)
    page.goto("/web/studies/reviewed")
    assert page.get_by_role("button", name="Delete for good").count() == 0
    page.locator("main").get_by_role("link", name="Optuna Dashboard").click()
    page.get_by_role("heading", name="Hyperparameter Importance").wait_for()  # its figure has the same words
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    number = re.search(r"/studies/(\d+)", page.url)[1]
    answers = page.evaluate(
        """async (id) => {
            const ask = async (method, path, body) => {
                const answer = await fetch(path, {method, body: body && JSON.stringify(body),
                                                  headers: {"Content-Type": "application/json"}});
                return [answer.status, (await answer.json()).reason];
            };
            return [await ask("DELETE", `/api/studies/${id}`), await ask("POST", "/api/trials/1/tell", {state: "Fail"}),
                    await ask("PUT", `/api/studies/${id}/note`, {body: "x", version: 1})];
        }""",
        number,
    )
    assert [status for status, _ in answers] == [403, 403, 403]
    assert store.progress("reviewed").state == "finished"
    page.goto(f"/dashboard/studies/{number}/note")
    page.wait_for_load_state("networkidle")


def test_a_submitters_note_is_written_in_the_dashboard_itself(open_as, store):
    with StagedStudy(store, make_spec(name="noted")) as study:
        study.train_one(0.9)
        study.end()
    page = open_as()
    page.goto("/web/studies/noted")
    page.locator("main").get_by_role("link", name="Optuna Dashboard").click()
    page.wait_for_url(re.compile(r"/dashboard/studies/\d+"))
    number = re.search(r"/studies/(\d+)", page.url)[1]
    status = page.evaluate(
        """async (id) => {
            const body = JSON.stringify({body: "**seen**", version: 1});
            const headers = {"Content-Type": "application/json"};
            return (await fetch(`/api/studies/${id}/note`, {method: "PUT", headers, body})).status;
        }""",
        number,
    )
    assert status == 204
    page.goto(f"/dashboard/studies/{number}/note")
    page.get_by_text("seen", exact=True).first.wait_for()


def test_markup_of_studies_stays_text_wherever_it_is_shown(open_as, store):
    name = EVIL[:99].strip()
    spec = make_spec(
        name=name,
        notes=EVIL,
        objective={"metric": EVIL, "direction": "maximize"},
        space={"activation": {"type": "categorical", "choices": [EVIL, "relu"]}},
        budget={"epochs": 2000},
    )
    page = open_as()
    with running(store, spec, f"{EVIL}\n") as (study, _):
        study.store.requests.enqueue(name, {"activation": EVIL}, by=EVIL)
        page.goto(address_of("/web/studies", name))
        page.get_by_text("Trials that ended last").wait_for()
        page.evaluate(AGAIN)  # put there by the script
        page.wait_for_timeout(500)
        assert page.title().startswith("<img src=x")
        assert page.locator("main img").count() == 0
        page.goto("/")
        page.get_by_text("<img src=x").first.wait_for()
        page.evaluate(AGAIN)
        page.wait_for_timeout(500)
        assert page.title() == "Studies · Bandstand"
        assert page.locator("main img").count() == 0
    page.goto("/dashboard")
    page.get_by_text("<img src=x").first.wait_for()
    assert page.title() != "gotcha"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_scrolls_sideways_on_a_phone(open_as, store, scheme):
    long = "a-name-without-a-single-space-that-goes-on-and-on-" * 2
    spec = make_spec(name=f"{scheme}-{long}"[:100])
    SubmissionQueue(store).submit_study(spec, SubmissionTerms(submitter="ada"))
    dispatch, run = run_job(store, spec.name, f"{long * 5}\n")
    plan = store.plans.keep(make_plan(f"phone-{scheme}", make_spec(name="p"), ["tpe+asha"], 3))
    with StagedStudy(store, spec) as study:
        study.train_one(error=long * 3)
        study.train_one(0.9)
        study.train_one(0.9, epochs=1)
        page = open_as(width=360, scheme=scheme)
        for path in ("/", address_of("/web/studies", spec.name), f"/web/comparisons/{plan.name}", "/web/studies/none"):
            page.goto(path)
            for more in page.locator("summary").all():
                more.click()
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 360, (path, wide)
        study.end()
    dispatch.end_run(run, RunState.SUCCEEDED)


def test_a_page_says_when_the_server_has_gone_and_when_somebody_is_logged_out(browser, store):
    context = browser.new_context()
    page = context.new_page()
    token = store.accounts.create_token("leaving", Role.VIEWER, days=1)
    with serve(make_app(store)) as address:
        page.goto(f"{address}/")
        page.get_by_label("Token").fill(token.text)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Studies").wait_for()
        store.accounts.revoke("leaving")
        page.get_by_text("You have been logged out").wait_for()
        page.reload()
        page.get_by_label("Token").wait_for()
        page.get_by_label("Token").fill(store.accounts.create_token("leaving", Role.VIEWER, days=1).text)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Studies").wait_for()
    page.get_by_text("The server does not answer; trying again.").wait_for()
    context.close()


def test_a_page_is_walked_by_keyboard(open_as):
    page = open_as()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"#main$"))
    page.goto("/login")
    assert page.evaluate("document.activeElement.id") == "token"


def test_buttons_stop_resume_and_delete_and_say_in_a_line_what_is_refused(open_as, store):
    spec = make_spec(name="by/buttons")
    SubmissionQueue(store).submit_study(spec, SubmissionTerms(submitter="ada"))
    page = open_as()
    page.goto("/web/studies/by/buttons")
    page.locator("h1 .state.queued").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("h1 .state.stopped").wait_for()
    page.get_by_role("button", name="Resume").click()
    page.locator("h1 .state.queued").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator("h1 .state.stopped").wait_for()
    page.get_by_text("Delete …").click()
    SubmissionQueue(store).resume(spec.name, SubmissionTerms(submitter="ada"))  # meanwhile, by somebody else
    page.get_by_role("button", name="Delete for good").click()
    page.get_by_text("only a study or comparison that has ended can be deleted").wait_for()
    SubmissionQueue(store).stop(spec.name)
    page.get_by_role("button", name="Delete for good").click()
    page.wait_for_url(re.compile(r"/$"))
    assert SubmissionQueue(store).find(spec.name) is None
