"""The command line on a server: who is logged in where, and what the commands do there."""

from __future__ import annotations

import json
import shlex
import stat
from pathlib import Path

import pytest

from bandstand.client.login import config_file
from bandstand.submissions import SubmissionQueue
from bandstand_spaces.toml_writer import make_toml
from tests.service.client.servers import TOKEN, ScriptedServer
from tests.service.commands.in_process import Bandstand
from tests.service.store.written_study import train


@pytest.fixture
def logged_in(bandstand: Bandstand, server, token_of) -> Bandstand:
    assert bandstand("login", server.url, "--token-file", "-", typed=token_of()).code == 0
    return bandstand


@pytest.fixture
def file(project: Path, spec) -> Path:
    settings = spec().model_dump(mode="json", exclude_none=True)
    path = project / "study.toml"
    path.write_text(
        make_toml({key: settings[key] for key in ("name", "model", "data", "space", "max_epochs", "budget")})
    )
    return path


def name_in(file: Path) -> str:
    import tomllib

    return str(tomllib.loads(file.read_text())["name"])


def test_login_checks_the_token_and_keeps_it_for_the_user_alone(bandstand, server, token_of):
    token = token_of()
    said = bandstand("login", f"{server.url}/", "--token-file", "-", typed=f"{token}\n")
    assert said.code == 0
    assert said.out.startswith(f"ada, submitter on {server.url} until 20")
    assert token not in said.out + said.err
    assert stat.S_IMODE(config_file().stat().st_mode) == 0o600
    assert json.loads(config_file().read_text()) == {"url": server.url, "token": token}
    assert list(config_file().parent.iterdir()) == [config_file()]
    assert bandstand("logout").out == "logged out\n"
    assert not config_file().exists()
    assert bandstand("logout").out == "you were not logged in\n"


def test_a_token_that_is_not_good_is_not_kept(bandstand, server):
    said = bandstand("login", server.url, "--token-file", "-", typed=TOKEN)
    assert said.code == 2
    assert said.err.startswith("bandstand: a valid token is needed")
    assert TOKEN not in said.err
    assert not config_file().exists()


def test_a_token_cannot_be_an_argument(bandstand, server):
    said = bandstand("list", "--url", server.url, "--token", TOKEN)
    assert said.code == 2
    assert "No such option" in said.err
    assert TOKEN not in said.out + said.err


def test_a_token_file_says_what_is_wrong_with_it(bandstand, server, tmp_path):
    (tmp_path / "empty").touch()
    for file, message in (("nowhere", "is not (FileNotFoundError)"), ("empty", "is empty")):
        said = bandstand("list", "--url", server.url, "--token-file", str(tmp_path / file))
        assert said.code == 2
        assert message in said.err


def test_a_kept_token_is_for_its_own_server(logged_in):
    with ScriptedServer([(200, {"Content-Type": "application/json"}, b'{"studies": [], "next": null}')]) as other:
        assert logged_in("list", "--url", other.url).code == 0
        assert "Authorization" not in other.requests[0][2]


def test_without_a_server_the_commands_are_this_machines_and_submit_says_what_it_needs(bandstand, file, store):
    assert json.loads(bandstand("list", "--json").out or "[]") is not None
    said = bandstand("submit", str(file))
    assert said.code == 2
    assert said.err == (
        "bandstand: this needs a server; got none: give its URL (--url URL in a command), set BANDSTAND_URL, or run "
        "`bandstand login URL`\n"
    )


def test_submit_sends_what_the_file_needs_and_says_so(logged_in, file, store):
    said = logged_in("submit", str(file), "-w", "3", "--priority", "2", "--label", "zone=a")
    assert said.code == 0
    assert f"sending only the Python files of {file.parent}; " in said.err
    assert said.out.startswith(f"{name_in(file)}: queued on http://127.0.0.1:")
    submission = SubmissionQueue(store).find(name_in(file))
    assert (submission.workers, submission.priority, submission.labels) == (3, 2, {"zone": "a"})
    assert logged_in("submit", str(file)).code == 0
    refused = logged_in("submit", str(file), "--label", "zone")
    assert (refused.code, refused.out) == (2, "")
    assert "a label must be written key=value, such as accelerator=a100; got 'zone'" in refused.err


def test_what_looks_asks_the_server_once_logged_in(logged_in, file, store):
    logged_in("submit", str(file))
    name = name_in(file)
    assert logged_in("best", name).code == 1
    train(store, store.spec(name), 3, end=True)
    assert name in logged_in("list").out
    assert next(each for each in json.loads(logged_in("list", "--json").out) if each["name"] == name)["trials"] == 3
    shown = logged_in("show", name).out
    assert "by       ada, priority 0, as many workers as fit, code " in shown
    assert "best     val_loss 0.3333, lower is better (trial 2" in shown
    told = json.loads(logged_in("show", name, "--json").out)
    assert [trial["number"] for trial in told["trials"]] == [0, 1, 2]
    assert logged_in("best", name).out.startswith("best val_loss 0.3333 (lower is better): trial 2, ")
    assert json.loads(logged_in("best", name, "--json").out)["number"] == 2
    watched = logged_in("watch", name)
    assert watched.code == 0
    assert watched.out.startswith(f"{name}: finished, ")
    assert logged_in("logs", name).out == ""


def test_show_and_best_say_of_a_comparison_that_it_is_one_and_what_shows_it(logged_in, file):
    name = f"{name_in(file)}-comparison"
    assert logged_in("submit-comparison", str(file), "--strategies", "random", "--repeats", "1").code == 0
    line = (
        f"bandstand: {name!r} is a comparison, not a study; `bandstand report {shlex.quote(name)} -o "
        "report.html` shows it\n"
    )
    for command in ("show", "best"):
        for options in ((), ("--local",)):
            said = logged_in(command, name, *options)
            assert (said.code, said.err) == (2, line)


def test_local_is_this_machines_database(logged_in, bandstand, tmp_path, monkeypatch):
    with ScriptedServer([(500, {}, b"")]) as server:
        monkeypatch.setenv("BANDSTAND_URL", server.url)
        assert bandstand("list", "--local", "--json").code == 0
        assert server.requests == []
    assert bandstand("list", "--local", "--url", "http://x").code == 2
    said = logged_in("report", "x", "-o", str(tmp_path / "x.html"), "--style", "writeup")
    assert (said.code, said.err.startswith("bandstand: --style works on this machine's database only")) == (2, True)


def test_what_changes_a_study_asks_the_server(logged_in, file, store):
    logged_in("submit", str(file))
    name = name_in(file)
    assert "bandstand resume" in logged_in("stop", name).out
    assert SubmissionQueue(store).find(name).state == "ended"
    assert logged_in("resume", name).code == 0
    assert SubmissionQueue(store).find(name).state == "queued"
    assert logged_in("delete", name, "--yes").code == 75  # until it has ended
    logged_in("stop", name)
    refused = logged_in("delete", name, typed="n\n")
    assert (refused.code, refused.err) == (130, "nothing was deleted\n")
    assert SubmissionQueue(store).find(name) is not None
    nobody = logged_in("delete", name)
    assert nobody.code == 2
    assert nobody.err.splitlines()[-1] == (
        "bandstand: deleting needs a confirmation, and there is no terminal to ask for it: add --yes"
    )
    assert SubmissionQueue(store).find(name) is not None
    assert logged_in("delete", name, typed="y\n").code == 0
    missing = logged_in("show", name)
    assert missing.code == 2
    assert missing.err.startswith(f"bandstand: there is no study {name!r}")
