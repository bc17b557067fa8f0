"""A client asks a real server on a real PostgreSQL."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from bandstand.client import Client
from bandstand.errors import (
    ComparisonNotFoundError,
    InputError,
    NotAllowedError,
    NotLoggedInError,
    StudyInUseError,
    StudyNameTakenError,
    StudyNotFoundError,
)
from bandstand.store import tables
from bandstand.store.accounts import Role
from bandstand.study.states import RunState
from bandstand.submissions import ServerQueue, SubmissionQueue
from tests.service.client.notebooks import run_cells
from tests.service.store.written_study import train


def test_a_study_is_submitted_once_with_its_code(client, spec, project, store):
    said: list[str] = []
    wanted = spec()
    study = client.submit(wanted, code=project, workers=2, priority=3, labels={"zone": "a"}, say=said.append)
    again = client.submit(wanted, code=project, say=said.append)
    assert study.name == again.name == wanted.name
    assert study.state == "queued"
    assert study.spec == wanted
    submission = SubmissionQueue(store).find(wanted.name)
    assert submission is not None
    assert (submission.submitter, submission.workers, submission.priority) == ("ada", 2, 3)
    assert submission.labels == {"zone": "a"}
    assert SubmissionQueue(store).has_code(submission.code)
    assert said[0] == "code: 1 file, 1 kB packed"


def test_code_that_is_there_is_not_sent_again(client, spec, project, monkeypatch):
    client.submit(spec(), code=project, say=lambda note: None)
    asked = []
    request = client._connection.request
    monkeypatch.setattr(client._connection, "request", lambda *a, **o: asked.append(a[0]) or request(*a, **o))
    client.submit(spec(), code=project, say=lambda note: None)
    assert asked == ["HEAD", "POST"]


def test_another_study_or_other_code_of_the_same_name_is_refused_with_the_differences(client, spec, project):
    first = spec()
    client.submit(first, code=project, say=lambda note: None)
    with pytest.raises(StudyNameTakenError) as caught:
        client.submit(first.model_copy(update={"seed": 5}), code=project, say=lambda note: None)
    assert caught.value.differences == ("seed: 5 here, 0 stored",)
    (project / "train.py").write_text("# other")
    with pytest.raises(StudyNameTakenError, match=r"submitted differently \(code: "):
        client.submit(first, code=project, say=lambda note: None)


def test_a_dict_is_a_study_too_and_a_broken_one_is_refused_before_anything_is_sent(client, spec, project):
    settings = spec().model_dump(mode="json")
    assert client.submit(settings, code=project, say=lambda note: None).name == settings["name"]
    with pytest.raises(InputError, match="study: there is no setting epochs"):
        client.submit(settings | {"epochs": 3})


def test_who_may_what(client_of, spec, project, server):
    wanted = spec()
    viewer, other, admin = client_of("eve", Role.VIEWER), client_of("bob"), client_of("root", Role.ADMIN)
    with pytest.raises(NotAllowedError, match="this needs the role submitter"):
        viewer.submit(wanted, code=project, say=lambda note: None)
    client_of("ada").submit(wanted, code=project, say=lambda note: None)
    assert viewer.study(wanted.name).state == "queued"
    with pytest.raises(NotAllowedError, match="submitters can change only their own studies"):
        other.study(wanted.name).stop()
    admin.study(wanted.name).stop()
    with Client(server.url) as nobody, pytest.raises(NotLoggedInError, match="a valid token is needed"):
        nobody.studies()


def test_stop_resume_and_delete(client, spec, project):
    study = client.submit(spec(), code=project, say=lambda note: None)
    with pytest.raises(StudyInUseError, match="stop it first"):
        study.delete()
    study.stop()
    study.stop()
    assert study.wait(timeout_seconds=5) == "stopped"
    (project / "train.py").write_text("# mended")
    before = study.detail()["submission"]["code"]
    study.resume(code=project)
    assert study.state == "queued"
    assert study.detail()["submission"]["code"] != before
    study.stop()
    study.delete()
    for ask in (lambda: study.state, lambda: client.study(study.name), study.trials, study.stop):
        with pytest.raises(StudyNotFoundError):
            ask()


def test_waiting_has_an_end(client, spec, project):
    study = client.submit(spec(), code=project, say=lambda note: None)
    with pytest.raises(TimeoutError, match=r"has not ended after 0\.1 s; it is queued"):
        study.wait(timeout_seconds=0.1)


def test_all_trials_come_over_many_pages(client, spec, project, store, monkeypatch):
    monkeypatch.setattr("bandstand.client.study._PAGE", 2)
    study = client.submit(spec(), code=project, say=lambda note: None)
    assert study.trials().empty
    train(store, study.spec, 7)
    trials, stored = study.trials(), store.record(study.name).trials
    assert list(trials["number"]) == list(range(7))
    assert list(trials["params_rate"]) == list(stored["params_rate"])
    assert list(trials["value"]) == list(stored["value"])
    assert isinstance(trials["created_at"].iloc[0], pd.Timestamp)


def test_the_best_trial(client, spec, project, store):
    study = client.submit(spec(), code=project, say=lambda note: None)
    with pytest.raises(StudyNotFoundError, match="no trial with a value yet"):
        _ = study.best
    train(store, study.spec, 3)
    best, stored = study.best, store.record(study.name).best
    assert (best.number, best.params, best.value, best.epoch) == (
        stored.number, stored.params, stored.value, stored.epoch,
    )  # fmt: skip
    assert study.progress.best == stored


def test_all_studies_come_over_many_pages(client, spec, project, monkeypatch):
    names = [client.submit(spec(), code=project, say=lambda note: None).name for _ in range(3)]
    monkeypatch.setattr("bandstand.client.client._PAGE", 2)
    found = client.studies(state="queued")
    assert list(found["name"][:3]) == names[::-1]
    assert set(found["state"]) == {"queued"}


def test_a_study_is_watched_to_its_end_through_a_server_that_is_started_again(client, server, spec, project, store):
    study = client.submit(spec(), code=project, say=lambda note: None)
    shown = io.StringIO()
    states: list[str] = []
    watcher = threading.Thread(target=lambda: states.append(study.watch(stream=shown)))
    watcher.start()
    train(store, study.spec, 2, pause=1.2)
    server.stop()
    time.sleep(0.5)
    server.start()
    train(store, study.spec, 3, end=True, pause=1.2)
    watcher.join(timeout=60)
    assert states == ["finished"]
    lines = shown.getvalue().splitlines()
    assert lines[0] == f"{study.name}: queued, 0%, 0 epochs, no trials yet"
    assert any("trying again" in line for line in lines)
    assert lines[-2].startswith(f"{study.name}: finished, ")
    assert lines[-1].startswith(f"{study.name}: best params rate ")


def test_ctrl_c_ends_the_watching_and_not_the_study(client, spec, project, server, token_of):
    study = client.submit(spec(), code=project, say=lambda note: None)
    script = (
        f"from bandstand.client import Client\nprint('state', Client({server.url!r}).study({study.name!r}).watch())"
    )
    watching = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"BANDSTAND_TOKEN": token_of()},
    )  # fmt: skip
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith(f"{study.name}: queued")
    watching.send_signal(signal.SIGINT)
    told, complaints = watching.communicate(timeout=60)
    assert watching.returncode == 0, complaints
    assert told.splitlines()[-1] == "state queued"
    assert complaints.strip() == f"stopped watching; {study.name} goes on at {server.url}"
    assert study.state == "queued"


NO_TRAINING = """
import sys


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "ray", "jax"):
            raise ImportError(f"{name} must not be needed")


sys.meta_path.insert(0, Refuse())
"""
NOTEBOOK = """
from bandstand import Budget, Client, Float, SearchSpace, StudySpec
from bandstand.submissions import SubmissionQueue


class Layer:
    pass


def build(params):
    return Layer(), params


def load():
    return {"train": {"one", "two", "three"}}


spec = StudySpec(
    name="typed", model=build, data=load, space=SearchSpace({"rate": Float(0.1, 1.0)}), max_epochs=3,
    budget=Budget(epochs=9),
)
study = Client().submit(spec)
print(study.state, study.spec.model)
"""


def test_a_notebook_submits_without_tensorflow_keras_or_ray_and_the_same_cell_is_the_same_study(
    tmp_path: Path, server, token_of, store
):
    environment = {"BANDSTAND_URL": server.url, "BANDSTAND_TOKEN": token_of()}
    runs = [run_cells([NO_TRAINING, NOTEBOOK], tmp_path, PYTHONHASHSEED=seed, **environment) for seed in ("1", "2")]
    assert [run.stdout.splitlines()[-1].split(":")[-1] for run in runs] == ["build", "build"], runs[1].stderr
    assert runs[0].stdout == runs[1].stdout
    assert "sending functions of this session as they are now: build, load" in runs[0].stdout
    changed = NOTEBOOK.replace('"three"', '"four"')
    refused = run_cells([NO_TRAINING, changed], tmp_path, **environment)
    assert "StudyNameTakenError: a name belongs to one study" in refused.stderr
    assert "was submitted with other functions, or they use other things now" in refused.stderr


def test_a_study_is_extended_and_given_a_trial_of_ones_own(client, spec, project, store):
    study = client.submit(spec(), code=project, say=lambda note: None)
    study.extend({"epochs": 50})
    study.enqueue({"rate": 0.25})
    with pytest.raises(InputError, match="rate"):
        study.enqueue({"rate": 7.0})
    assert [request.kind for request in store.requests.read(study.name)] == ["extend", "enqueue"]


def test_the_report_is_written_in_the_form_of_its_file(client, spec, project, store, tmp_path):
    study = client.submit(spec(), code=project, say=lambda note: None)
    train(store, study.spec, 3, end=True)
    written = study.report(tmp_path / "report.md")
    assert written == tmp_path / "report.md"
    assert study.name in written.read_text()
    for file, rule in (("report.pdf", "must end in"), ("nowhere/report.md", "folder must exist")):
        with pytest.raises(InputError, match=rule):
            study.report(tmp_path / file)


def test_a_comparison_is_submitted_extended_and_watched(client, spec, project, store):
    base = spec(name="compared")
    asked = {"repeats": 1, "code": project, "say": lambda note: None}
    comparison = client.compare(base, ["tpe+asha"], **asked)
    assert comparison.name == "compared-comparison"
    assert client.compare(base, ["tpe+asha"], **asked).state == "queued"
    with pytest.raises(StudyInUseError, match="wait for its end"):
        client.compare(base, ["tpe+asha"], **asked | {"repeats": 2})
    comparison.stop()
    assert client.find(comparison.name).wait(timeout_seconds=5) == "stopped"
    client.compare(base, ["tpe+asha"], **asked | {"repeats": 2}).stop()
    studies = comparison.studies()
    assert set(studies["strategy"]) == {"tpe + asha", "random", "grid"}
    assert set(studies["repeat"]) == {1, 2}
    assert comparison.name in [each["name"] for each in client.comparisons()]
    shown = io.StringIO()
    assert comparison.watch(shown) == "stopped"
    assert shown.getvalue() == "compared-comparison: stopped, 0 of 6 studies finished\n"
    comparison.delete()
    with pytest.raises(ComparisonNotFoundError, match="compared-comparison"):
        client.comparison(comparison.name)
    with pytest.raises(StudyNotFoundError, match="compared-comparison"):
        client.find(comparison.name)


def test_logs_are_read_to_the_end_and_on_to_the_next_job(client, spec, project, store, monkeypatch):
    monkeypatch.setattr("bandstand.client.submission.POLL_SECONDS", 0.1)
    study = client.submit(spec(), code=project, priority=1000, say=lambda note: None)
    assert study.logs() == ""
    dispatch = ServerQueue(store, "a test")
    claimed = dispatch.claim(per_user=99)
    assert claimed is not None
    assert claimed.submission.name == study.name
    dispatch.append_log(claimed.run.id, 0, "one\ntwo\n")
    assert study.logs() == "one\ntwo\n"
    pieces = study.iter_logs(follow=True)
    assert next(pieces) == "one\ntwo\n"
    dispatch.append_log(claimed.run.id, 8, "thr")
    assert next(pieces) == "thr"
    dispatch.end_run(claimed.run.id, RunState.FAILED, "killed")
    with store.database.connection() as connection, connection.begin():
        connection.execute(sa.update(tables.submission).values(not_before=None))
    following = dispatch.claim(per_user=99)
    assert following is not None
    dispatch.append_log(following.run.id, 0, "again\n")
    assert next(pieces) == "again\n"
    study.stop()
    dispatch.end_run(following.run.id, RunState.SUCCEEDED, "")
    assert list(pieces) == []
    assert study.logs(run=1) == "one\ntwo\nthr"
