"""Looking at studies, trials, comparisons, reports and figures by HTTP."""

from __future__ import annotations

import asyncio
import time

import pytest
import sqlalchemy as sa
from fastapi import HTTPException
from fastapi.testclient import TestClient

from bandstand.api import ServerSettings, make_app
from bandstand.api.routes import reports
from bandstand.api.routes.reports import ReportWriter
from bandstand.search.protocol import Measurement
from bandstand.search.search import Search
from bandstand.store import tables
from bandstand.store.accounts import Role
from bandstand.store.store import Store
from tests.service.store.written_study import flush, make_spec


@pytest.fixture(scope="module")
def trained(store: Store) -> str:
    """The name of a study with a few trials, which has been stopped."""
    writer = store.claim(make_spec(sampler="random", pruner="none"), "a test")
    search = Search(writer.spec)
    for _ in range(5):
        given = search.next()
        for epoch in range(1, given.until_epoch + 1):
            search.report(
                given.trial,
                given.attempt,
                Measurement(epoch=epoch, metrics={"val_loss": 1 / (given.trial + epoch)}, seconds=2.0),
            )
        search.finish(given.trial, given.attempt)
    flush(search, writer, mirror=False)
    writer.set_study(state="stopped")
    writer.close()
    return writer.spec.name


def test_studies_come_in_pages_each_once_the_newest_first(client_of, store: Store):
    ada = client_of("pager")
    names = []
    for _ in range(5):
        asked = {"spec": make_spec().model_dump(mode="json")}
        ada.post("/studies", json=asked)
        names.append(asked["spec"]["name"])
    found, after = [], None
    while True:
        page = ada.get(
            "/studies", params={"submitter": "pager", "limit": 2} | ({"after": after} if after else {})
        ).json()
        found += [study["name"] for study in page["studies"]]
        if (after := page["next"]) is None:
            break
    assert found == names[::-1]
    ada.post(f"/studies/{names[0]}/stop")
    stopped = ada.get("/studies", params={"submitter": "pager", "state": "stopped"}).json()["studies"]
    assert [study["name"] for study in stopped] == [names[0]]


def test_a_list_takes_one_statement_however_long_it_is(store: Store, trained):
    statements = []
    sa.event.listen(store.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert len(store.studies()) > 1
    assert len(statements) == 1


def test_trials_come_in_pages_and_the_best_is_the_lowest(client_of, trained):
    vic = client_of("vic", Role.VIEWER)
    first = vic.get(f"/studies/{trained}/trials", params={"limit": 3}).json()
    second = vic.get(f"/studies/{trained}/trials", params={"after": first["next"]}).json()
    trials = first["trials"] + second["trials"]
    assert [trial["number"] for trial in trials] == [0, 1, 2, 3, 4] and second["next"] is None
    assert {trial["seconds"] for trial in trials} == {8.0} and {trial["epochs"] for trial in trials} == {4}
    best = vic.get(f"/studies/{trained}/best").json()
    assert (best["number"], best["value"], best["epoch"]) == (4, 1 / 8, 4)
    study = vic.get(f"/studies/{trained}").json()
    assert (study["best_value"], study["epochs"], study["budget_used"]) == (1 / 8, 20, pytest.approx(20 / 30))
    assert study["progress"]["counts"] == {"complete": 5} and study["submitter"] is None


def test_a_report_is_written_once_for_each_form_and_in_a_sandbox(client_of, trained):
    vic = client_of("vic", Role.VIEWER)
    answer = vic.get(f"/studies/{trained}/report")
    assert answer.status_code == 200 and answer.text.startswith("<!")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert vic.get(f"/studies/{trained}/report").headers["etag"] == answer.headers["etag"]
    assert vic.get(f"/studies/{trained}/report", params={"form": "md"}).text.startswith("#")
    assert vic.get("/studies/nothing/report").status_code == 404


def test_a_browser_that_would_wait_for_a_report_is_told_so_and_gets_it_later(store, monkeypatch):
    monkeypatch.setattr(reports, "_PATIENCE_SECONDS", 0.0)
    spec = make_spec(sampler="random", pruner="none")
    store.claim(spec, "a test").close()
    # One loop for all requests, so that the writing goes on between two.
    with TestClient(make_app(store, ServerSettings(requests_per_second=10_000))) as server:
        token = store.accounts.create_token("pat", Role.VIEWER, days=1).text
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/html"}
        address = f"/studies/{spec.name}/report"
        first = server.get(address, headers=headers)
        assert first.status_code == 202
        assert first.headers["refresh"] == "3"
        assert "The report is being written" in first.text
        assert server.get(address, headers=headers | {"Accept": "*/*"}).text.startswith("<!"), "a program waits"
        monkeypatch.setattr(reports, "_PATIENCE_SECONDS", 60.0)
        assert server.get(address, headers=headers).status_code == 200


def test_a_report_that_could_not_be_written_is_told_to_whoever_looks_again():
    async def ask():
        writer = ReportWriter(None, at_once=1)
        path = writer._path_of("a", "html", "1")
        writer._failed[path] = HTTPException(503, "it could not be written")
        with pytest.raises(HTTPException):
            await writer.written("a", "html", "1")
        return writer._failed

    assert asyncio.run(ask()) == {}


def test_a_comparison_is_submitted_listed_extended_stopped_and_deleted(client_of):
    ada = client_of("ada")
    spec = make_spec(sampler="random", pruner="none").model_dump(mode="json")
    asked = {"spec": spec, "strategies": ["tpe+asha"], "repeats": 1, "name": f"{spec['name']}-all"}
    made = ada.post("/comparisons", json=asked)
    assert made.status_code == 201, made.text
    name = made.json()["name"]
    assert made.json()["strategies"] == ["tpe+asha", "random", "grid"]
    assert [one["study"]["state"] for one in made.json()["studies"]] == ["queued"] * 3
    assert ada.post("/comparisons", json=asked).status_code == 200
    assert client_of("bob").post("/comparisons", json=asked).status_code == 403
    assert name in [one["name"] for one in ada.get("/comparisons").json()["comparisons"]]
    assert ada.post(f"/comparisons/{name}/stop").json()["state"] == "ended"
    assert len(ada.post("/comparisons", json=asked | {"repeats": 2}).json()["studies"]) == 6
    assert ada.post("/comparisons", json=asked | {"spec": spec | {"seed": 5}}).json()["differences"]
    ada.post(f"/comparisons/{name}/stop")
    assert ada.get(f"/comparisons/{name}").json()["submission"]["outcome"] == "stopped"
    assert ada.delete(f"/comparisons/{name}").status_code == 204
    assert ada.get(f"/comparisons/{name}").status_code == 404


def test_a_finished_study_that_is_extended_waits_in_the_queue_again(client_of, store: Store):
    ada, asked = client_of("ada"), {"spec": make_spec(sampler="random").model_dump(mode="json")}
    name = asked["spec"]["name"]
    ada.post("/studies", json=asked)
    with store.database.connection() as connection, connection.begin():
        connection.execute(sa.update(tables.study).where(tables.study.c.name == name).values(state="finished"))
        ended = sa.update(tables.submission).where(tables.submission.c.name == name)
        connection.execute(ended.values(state="ended", outcome="finished"))
    assert ada.post(f"/studies/{name}/extend", json={"budget": {"epochs": 3}}).status_code == 422
    assert client_of("bob").post(f"/studies/{name}/extend", json={"budget": {"epochs": 50}}).status_code == 403
    assert ada.post(f"/studies/{name}/extend", json={"budget": {"epochs": 50}}).status_code == 202
    assert ada.get(f"/studies/{name}").json()["submission"]["state"] == "queued"
    params = {"optimizer": "adam", "zeta": 0.5, "alpha": True}
    assert ada.post(f"/studies/{name}/enqueue", json={"params": params}).status_code == 202
    assert ada.post(f"/studies/{name}/enqueue", json={"params": {"zeta": 2}}).status_code == 422
    with store.database.connection() as connection:
        kinds = connection.execute(sa.select(tables.request.c.kind).order_by(tables.request.c.id)).scalars().all()
    assert kinds[-2:] == ["extend", "enqueue"]


def test_prometheus_reads_what_there_is(client_of, trained):
    vic = client_of("vic", Role.VIEWER)
    text = vic.get("/metrics").text
    assert "bandstand_epochs_total " in text and 'bandstand_studies{state="stopped"} ' in text
    assert "bandstand_queue_oldest_seconds " in text and "bandstand_event_streams 0.0" in text
    assert 'bandstand_http_requests_total{method="GET",route="/studies/{name:path}/best",status="200"} ' in text


def test_every_answer_has_the_headers_that_keep_browsers_in_bounds(client_of, nobody, trained):
    answers = [nobody.get("/healthz"), nobody.get("/me"), client_of("vic", Role.VIEWER).get(f"/studies/{trained}")]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client_of):
    ada = client_of("ada")
    told = ada.post("/studies", content=b"{}", headers={"Content-Length": "2000000"})
    longer = ada.post("/studies", content=iter([b" " * 600_000] * 3), headers={"Content-Type": "application/json"})
    for answer in (told, longer):
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_too_many_requests_of_one_token_have_to_wait(store: Store):
    app = make_app(store, ServerSettings(requests_per_second=1))
    token = store.accounts.create_token("hasty", Role.VIEWER, days=1).text
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as client:
        answers = [client.get("/me") for _ in range(25)]
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 429 and int(answers[-1].headers["retry-after"]) >= 1


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def guess(client: TestClient, times: int) -> list[int]:
    return [client.get("/me", headers=bearer(f"guess-{n}")).status_code for n in range(times)]


def test_who_guesses_tokens_is_shut_out_and_nobody_else_at_the_same_address(store: Store):
    app = make_app(store, ServerSettings(failures_per_minute=5))
    known, new = (store.accounts.create_token(name, Role.VIEWER, days=1).text for name in ("ada", "grace"))
    with TestClient(app) as client:
        assert client.get("/me", headers=bearer(known)).status_code == 200
        assert guess(client, 8) == [401] * 5 + [429] * 3
        assert client.get("/me", headers=bearer(known)).status_code == 200
        assert client.get("/me", headers=bearer(new)).status_code == 200, "it was never seen before the guesses"
        assert client.get("/healthz").status_code == 200
        assert client.get("/login").status_code == 200, "a browser without a cookie guesses nothing"
        assert client.get("/me").status_code == 401
        assert guess(client, 2) == [429] * 2


def test_who_asks_too_much_without_a_good_token_shuts_out_nobody_who_has_one(store: Store):
    app = make_app(store, ServerSettings(requests_per_second=0.01, failures_per_minute=10_000))
    token = store.accounts.create_token("ada", Role.VIEWER, days=1).text
    with TestClient(app) as client:
        assert guess(client, 12)[-1] == 429
        assert client.get("/me", headers=bearer(token)).status_code == 200


def test_a_token_has_one_limit_however_it_is_sent(store: Store):
    app = make_app(store, ServerSettings(requests_per_second=2))  # twenty at once
    token = store.accounts.create_token("hasty", Role.VIEWER, days=1)
    ways = [
        *({"Authorization": f"{word} {token.text}"} for word in ("Bearer", "bearer", "BEARER", "beareR")),
        *(bearer(token.text) | {"Cookie": f"another={n}"} for n in range(4)),
        *({"Cookie": f"{n}=x; bandstand_session={app.state.sessions.begin(token.record)}"} for n in range(4)),
    ]
    began = time.monotonic()
    with TestClient(app) as client:
        answers = [client.get("/me", headers=headers).status_code for _ in range(30) for headers in ways]
    assert set(answers) == {200, 429}
    # What is sent for the first time counts at its address, which has a limit of its own.
    assert answers.count(200) <= 2 * (20 + 2 * (time.monotonic() - began)) + 2
