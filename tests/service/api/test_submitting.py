"""Submitting studies and what may be asked of them, by HTTP."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bandstand.store.accounts import Role
from bandstand.store.store import Store
from bandstand.study.states import RunState
from bandstand.submissions import CodeArchive, ServerQueue, SubmissionQueue
from tests.service.store.written_study import make_spec


def order(**changes):
    return {"spec": make_spec(**changes).model_dump(mode="json")}


def end(store: Store, name: str) -> None:
    """Have a run of the study's end without having done anything."""
    dispatch = ServerQueue(store, "a test")
    while (claimed := dispatch.claim(per_user=1000)) is not None:
        if claimed.submission.name == name:
            SubmissionQueue(store).stop(name)
        dispatch.end_run(claimed.run.id, RunState.FAILED, "for the test")


def test_a_submitted_study_waits_in_the_queue(client_of):
    ada, asked = client_of("ada"), order()
    answer = ada.post("/studies", json=asked | {"workers": 2, "priority": 3, "labels": {"zone": "a"}})
    assert answer.status_code == 201, answer.text
    study = answer.json()
    assert (study["state"], study["submitter"], study["submission"]["workers"]) == ("queued", "ada", 2)
    assert study["position"] >= 1 and study["budget"] == {"epochs": 30} and study["budget_used"] == 0
    assert ada.get(f"/studies/{asked['spec']['name']}").json() == study


def test_the_same_study_again_is_the_same_and_another_of_its_name_is_told_the_differences(client_of):
    ada, asked = client_of("ada"), order()
    assert ada.post("/studies", json=asked).status_code == 201
    assert ada.post("/studies", json=asked).status_code == 200
    asked["spec"]["seed"] = 7
    answer = ada.post("/studies", json=asked)
    assert answer.status_code == 409
    assert answer.json()["differences"] == ["seed: 7 here, 0 stored"]


def test_others_studies_may_be_looked_at_not_changed_except_by_admins(client_of, store: Store):
    asked = order()
    name = asked["spec"]["name"]
    client_of("ada").post("/studies", json=asked)
    bob, viewer, admin = client_of("bob"), client_of("vic", Role.VIEWER), client_of("root", Role.ADMIN)
    assert bob.get(f"/studies/{name}").status_code == 200
    for other in (bob, viewer):
        assert other.post("/studies", json=asked).status_code == 403
        assert other.post(f"/studies/{name}/stop").status_code == 403
        assert other.post(f"/studies/{name}/resume").status_code == 403
        assert other.delete(f"/studies/{name}").status_code == 403
    assert admin.post(f"/studies/{name}/stop").json()["outcome"] == "stopped"
    assert admin.delete(f"/studies/{name}").status_code == 204
    assert admin.get(f"/studies/{name}").status_code == 404


def test_a_study_is_stopped_resumed_and_deleted(client_of, store: Store):
    ada, asked = client_of("ada"), order()
    name = asked["spec"]["name"]
    ada.post("/studies", json=asked)
    assert ada.delete(f"/studies/{name}").status_code == 409  # it waits
    assert ada.post(f"/studies/{name}/stop").json()["state"] == "ended"
    assert ada.get(f"/studies/{name}").json()["state"] == "stopped"
    assert ada.post(f"/studies/{name}/resume", json={}).json()["state"] == "queued"
    assert ada.post(f"/studies/{name}/stop").status_code == 200
    assert ada.delete(f"/studies/{name}").status_code == 204
    for answer in (ada.post(f"/studies/{name}/stop"), ada.delete(f"/studies/{name}")):
        assert answer.status_code == 404


def test_code_is_sent_once_and_named_by_its_digest(client_of, store: Store):
    ada, code = client_of("ada"), CodeArchive.of_files({"train.py": b"def build(params): ..."})
    as_zip = {"Content-Type": "application/zip"}
    path, asked = f"/code/{code.sha256}", order() | {"code": code.sha256}
    assert ada.head(path).status_code == 404
    early = ada.post("/studies", json=asked)
    assert (early.status_code, "send the code first" in early.json()["detail"]) == (422, True)
    assert ada.put(path, content=code.content, headers=as_zip).status_code == 201
    assert ada.put(path, content=code.content, headers=as_zip).status_code == 200
    assert ada.head(path).status_code == 200
    assert ada.post("/studies", json=asked).json()["submission"]["code"] == code.sha256


def test_code_that_is_not_what_it_says_is_refused(client_of):
    ada, content = client_of("ada"), b"not a zip file"
    path = f"/code/{hashlib.sha256(content).hexdigest()}"
    assert ada.put(path, content=content).status_code == 415
    as_zip = {"Content-Type": "application/zip"}
    assert "must be a zip file" in ada.put(path, content=content, headers=as_zip).json()["detail"]
    assert "SHA-256" in ada.put(path, content=b"other", headers=as_zip).json()["detail"]


@pytest.mark.parametrize("name", ["mine/trials", "mine/report", "mine//x", "../x", "x/", "/x", "a/./b"])
def test_a_name_that_could_not_be_asked_for_again_is_refused(client_of, name):
    answer = client_of("ada").post("/studies", json=order(name=name))
    assert answer.status_code == 422
    assert "name must not" in answer.json()["detail"]


def test_a_broken_spec_is_refused_in_one_line(client_of):
    asked = order()
    asked["spec"]["sampler"] = "tp"
    answer = client_of("ada").post("/studies", json=asked)
    assert answer.status_code == 422
    assert "sampler must be one of" in answer.json()["detail"] and "\n" not in answer.json()["detail"]


def test_the_log_comes_in_pieces(client_of, store: Store):
    ada, asked = client_of("ada"), order()
    name = asked["spec"]["name"]
    ada.post("/studies", json=asked | {"priority": 1000})
    assert ada.get(f"/studies/{name}/logs").json()["run"] is None
    dispatch = ServerQueue(store, "a test")
    run = dispatch.claim(per_user=1000).run.id
    dispatch.append_log(run, 0, "one\ntwo\n")
    first = ada.get(f"/studies/{name}/logs", params={"limit": 4}).json()
    assert (first["text"], first["next"], first["ended"]) == ("one\n", 4, False)
    SubmissionQueue(store).stop(name)
    dispatch.end_run(run, RunState.FAILED, "for the test")
    second = ada.get(f"/studies/{name}/logs", params={"start": 4, "run": 1}).json()
    assert (second["text"], second["ended"]) == ("two\n", True)
    assert ada.get(f"/studies/{name}/logs", params={"run": 2}).status_code == 404


def test_the_files_of_a_deleted_study_go_with_it(client_of, store: Store, tmp_path):
    ada, asked = client_of("ada"), order()
    name = asked["spec"]["name"]
    ada.post("/studies", json=asked)
    ada.post(f"/studies/{name}/stop")
    writer = store.claim(store.spec(name), "a test")
    kept = Path(writer.take_folder(str(tmp_path))) / "trial-00000" / "model-attempt-1.keras"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"a model")
    writer.set_study(state="stopped", model_uri=str(kept), model_trial=0)
    writer.close()
    assert ada.delete(f"/studies/{name}").status_code == 204
    assert list(tmp_path.iterdir()) == []
