"""Optuna Dashboard behind the login: seen by everybody who is let in, written to by nobody but in notes."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from bandstand.optuna_dashboard import large_studies
from bandstand.store.accounts import Role
from bandstand.store.optuna_mirror import open_storage
from tests.service.api.browsing import log_in
from tests.service.api.staged import StagedStudy, make_spec


@pytest.fixture(scope="module")
def shown(store):
    """A study in Optuna's tables; its id there."""
    spec = make_spec(name="in-the-dashboard")
    with StagedStudy(store, spec) as study:
        study.train_one(0.9)
        study.train_one(0.7, epochs=1)
        study.end()
    return open_storage(store.database.url).get_study_id_from_name(spec.name)


@pytest.fixture(scope="module")
def viewer(app, store):
    return log_in(app, store, "vera", Role.VIEWER)


@pytest.fixture(scope="module")
def submitter(app, store):
    return log_in(app, store)


@pytest.fixture(scope="module")
def admin(app, store):
    return log_in(app, store, "root", Role.ADMIN)


ADDRESSES = ("/dashboard", "/dashboard/studies/1", "/api/studies", "/api/meta", "/static/bundle.js", "/csv/1")


@pytest.mark.parametrize("address", ADDRESSES)
def test_nothing_of_it_is_seen_without_a_login(nobody, address):
    assert nobody.get(address).status_code == 401
    opened = nobody.get(address, headers={"Accept": "text/html"}, follow_redirects=False)
    assert opened.headers["location"].startswith("/login?next=")


def test_a_viewer_sees_studies_and_their_trials(viewer, shown):
    assert viewer.get("/dashboard").status_code == 200
    names = [study["study_name"] for study in viewer.get("/api/studies").json()["study_summaries"]]
    assert "in-the-dashboard" in names
    detail = viewer.get(f"/api/studies/{shown}").json()
    assert [trial["state"] for trial in detail["trials"]] == ["Complete", "Running"]
    assert viewer.get(f"/csv/{shown}").text.startswith("Number,State,")
    assert viewer.get("/static/bundle.js", headers={"Accept-Encoding": "gzip"}).status_code == 200


def test_users_are_told_what_a_large_study_costs_there(viewer, shown, monkeypatch):
    page = "/web/studies/in-the-dashboard"
    assert "Optuna Dashboard loads all" not in viewer.get(page).text
    monkeypatch.setattr(large_studies, "TOLD_TRIALS", 2)
    assert "Optuna Dashboard loads all 2 trials" in viewer.get(page).text


@pytest.mark.parametrize("address", ["/api/studies/{}", "/api/studies/{}/param_importances", "/csv/{}"])
def test_a_study_with_too_many_trials_is_refused_before_the_dashboard_loads_it(viewer, shown, monkeypatch, address):
    as_its_script = {"Accept": "application/json"}
    assert viewer.get(address.format(shown), headers=as_its_script).status_code == 200
    monkeypatch.setattr(large_studies, "MOST_TRIALS", 1)
    refused = viewer.get(address.format(shown), headers=as_its_script)
    assert refused.status_code == 413
    assert "at most 1 trials here, and this one has 2" in refused.json()["reason"]
    assert viewer.get("/api/studies").status_code == 200, "the list needs no trials"


def test_large_studies_are_found_by_their_trials(store, shown, monkeypatch):
    monkeypatch.setattr(large_studies, "TOLD_TRIALS", 2)
    assert ("in-the-dashboard", 2) in large_studies.find_large_studies(store.database)
    assert large_studies.count_trials(store.database, 10**8) == 0


def test_its_front_page_stays_ours(viewer):
    assert "<h1>Studies</h1>" in viewer.get("/").text


WRITES = (
    ("DELETE", "/api/studies/{id}", None),
    ("POST", "/api/studies/{id}/rename", {"study_name": "renamed"}),
    ("POST", "/api/studies", {"study_name": "new", "directions": ["minimize"]}),
    ("POST", "/api/trials/1/tell", {"state": "Fail"}),
    ("POST", "/api/trials/1/user-attrs", {"user_attrs": {"x": 1}}),
    ("POST", "/api/studies/{id}/preference", {"mode": "ChooseWorst", "candidates": [0], "clicked": 0}),
    ("PUT", "/api/studies/{id}/preference_feedback_component", {"output_type": "note"}),
    ("DELETE", "/api/artifacts/{id}/x", None),
    ("POST", "/api/studies/{id}/note", {"body": "x", "version": 1}),
    ("PATCH", "/api/studies/{id}/note", {"body": "x", "version": 1}),
)


@pytest.fixture(scope="module")
def storage(store):
    """Optuna's own, opened once: each would keep connections of its own."""
    storage = open_storage(store.database.url)
    yield storage
    storage.engine.dispose()


@pytest.mark.parametrize("who", ["viewer", "submitter", "admin"])
@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_nobody_changes_a_study_there(request, storage, shown, who, method, path, body):
    answer = request.getfixturevalue(who).request(method, path.format(id=shown), json=body)
    assert answer.status_code == 403
    assert "its own page" in answer.json()["reason"]
    study = optuna.load_study(study_name="in-the-dashboard", storage=storage)
    assert len(study.trials) == 2
    assert "new" not in optuna.get_all_study_names(storage)


def note_of(client, study):
    return client.get(f"/api/studies/{study}").json()["note"]


def test_notes_are_written_by_submitters_and_not_by_viewers(viewer, submitter, shown):
    version = note_of(viewer, shown)["version"]
    refused = viewer.put(f"/api/studies/{shown}/note", json={"body": "by a viewer", "version": version + 1})
    assert refused.status_code == 403
    assert "submitter" in refused.json()["reason"]
    assert submitter.put(f"/api/studies/{shown}/note", json={"body": "seen", "version": version + 1}).status_code == 204
    assert note_of(viewer, shown)["body"] == "seen"


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}]
)
def test_another_site_cannot_have_a_browser_write_a_note(submitter, shown, headers):
    version = note_of(submitter, shown)["version"]
    body = {"body": "forged", "version": version + 1}
    assert submitter.put(f"/api/studies/{shown}/note", json=body, headers=headers).status_code == 403
    assert note_of(submitter, shown)["body"] != "forged"


def test_a_write_with_a_cookie_and_no_word_of_where_it_comes_from_is_refused(app, submitter, shown):
    cookies = "; ".join(f"{name}={value}" for name, value in submitter.cookies.items())
    from fastapi.testclient import TestClient

    plain = TestClient(app, headers={"Cookie": cookies})
    assert plain.get("/me").status_code == 200
    assert plain.put(f"/api/studies/{shown}/note", json={"body": "x", "version": 99}).status_code == 403


def test_a_program_writes_notes_with_its_token(client_of, shown):
    client = client_of("ada", Role.SUBMITTER)
    version = note_of(client, shown)["version"]
    assert client.put(f"/api/studies/{shown}/note", json={"body": "hi", "version": version + 1}).status_code == 204


def test_a_note_may_not_be_of_any_size(submitter, shown):
    answer = submitter.put(f"/api/studies/{shown}/note", json={"body": "x" * 200_000, "version": 99})
    assert answer.status_code == 413


def test_it_is_in_a_process_of_its_own_which_is_started_again_and_leaves_nothing_behind(app, viewer, shown):
    assert viewer.get(f"/api/studies/{shown}").status_code == 200
    killed = app.state.dashboard._process
    loaded = "import sys, bandstand.api.app; print('optuna_dashboard' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True).stdout == "False\n"
    killed.kill()
    killed.wait(10)
    assert viewer.get(f"/api/studies/{shown}").status_code == 200
    process = app.state.dashboard._process
    assert process.pid != killed.pid
    socket = Path(process.args[-1])
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    process.stdin.close()  # as the kernel does when the server dies
    assert process.wait(20) == 0
    assert not socket.parent.exists()


def test_its_command_line_has_no_secret(app, viewer, store):
    viewer.get("/api/meta")
    assert store.database.url not in " ".join(app.state.dashboard._process.args)


def test_a_policy_of_its_own_lets_it_work_and_nobody_frame_it(viewer):
    policy = viewer.get("/dashboard").headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self' 'unsafe-eval'" in policy
