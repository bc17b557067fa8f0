"""The command line as its users meet it: on a terminal, in a pipe, from a script."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bandstand.locations import bandstand_home
from bandstand.store.store import Store
from tests.end_to_end.harness.databases import make_database
from tests.end_to_end.harness.processes import actor_processes, epochs_of
from tests.end_to_end.harness.project import Project, refused
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def finished(home: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, subprocess.CompletedProcess[str]]:
    """A project whose study `cli` has been run from the command line."""
    project = Project(tmp_path_factory.mktemp("cli"))
    file = project.write_study(name="cli", budget={"epochs": 14})
    return project, project.command("run", str(file), "--workers", "2")


def test_run_in_a_pipe_says_a_line_per_trial_and_the_result(
    finished: tuple[Project, subprocess.CompletedProcess[str]], store: Store
) -> None:
    _, done = finished
    assert done.returncode == 0, done.stdout + done.stderr
    record = store.record("cli")
    lines = [line for line in done.stdout.splitlines() if re.match(r"cli: trial \d+ (complete|pruned) after", line)]
    assert len(lines) == len(record.trials)
    assert f"best val_accuracy {record.best.value:.4f} (higher is better): trial {record.best.number}" in done.stdout
    assert "(test data looked at once)" in done.stdout
    assert "\x1b[" not in done.stdout
    assert done.stderr == ""


def test_the_same_command_again_only_says_what_came_out(
    finished: tuple[Project, subprocess.CompletedProcess[str]],
) -> None:
    project, done = finished
    logs = bandstand_home() / "logs"
    before = set(logs.iterdir())
    again = project.command("run", "cli.toml")
    assert again.returncode == 0
    assert again.stdout.splitlines()[0].startswith("best val_accuracy")
    assert again.stdout.splitlines()[0] in done.stdout
    assert re.search(r"this study finished on [\d-]+ at [\d:]+, so nothing was trained;", again.stdout)
    assert "nothing was trained" not in done.stdout
    assert set(logs.iterdir()) == before, "it started trainers to do nothing"


def test_list_show_and_best_tell_people_and_programs_the_same(
    finished: tuple[Project, subprocess.CompletedProcess[str]], store: Store
) -> None:
    project, _ = finished
    record = store.record("cli")
    listed = {study["name"]: study for study in json.loads(project.command("list", "--json").stdout)}
    assert listed["cli"]["state"] == "finished"
    assert listed["cli"]["epochs"] == 14
    assert re.search(r"cli +finished +\d+ +14", project.command("list").stdout)
    best = json.loads(project.command("best", "cli", "--json").stdout)
    assert best["params"] == record.best.params
    assert best["test_metrics"] == record.test_metrics
    assert f"units = {best['params']['units']}" in project.command("best", "cli").stdout
    shown = json.loads(project.command("show", "cli", "--json").stdout)
    assert [trial["number"] for trial in shown["trials"]] == list(range(len(record.trials)))
    assert "random + asha, budget 14 epochs" in project.command("show", "cli").stdout


def test_export_writes_the_trials_as_csv_and_parquet(
    finished: tuple[Project, subprocess.CompletedProcess[str]], store: Store
) -> None:
    project, _ = finished
    for name in ("trials.csv", "trials.parquet"):
        assert project.command("export", "cli", "-o", name).returncode == 0
    trials = store.record("cli").trials
    columns = ["number", "state", "value", "epochs", "params_units", "params_rate"]
    for frame in (pd.read_csv(project.folder / "trials.csv"), pd.read_parquet(project.folder / "trials.parquet")):
        pd.testing.assert_frame_equal(frame[columns], trials[columns], check_dtype=False)
    assert project.command("export", "cli", "-o", "trials.xls").returncode == 2


def test_the_best_model_is_written_to_a_file_of_ones_own(
    finished: tuple[Project, subprocess.CompletedProcess[str]], store: Store
) -> None:
    project, _ = finished
    done = project.command("model", "cli", "-o", "best.keras")
    assert done.returncode == 0, done.stderr
    best = store.record("cli").best
    assert done.stdout.startswith(f"best.keras: the model of trial {best.number};")
    assert (project.folder / "best.keras").read_bytes() == Path(best.model_path).read_bytes()
    for arguments, reason in (
        (("cli", "-o", "best.h5"), "the file must end in .keras"),
        (("cli", "-o", "nowhere/best.keras"), "folder must exist"),
        (("no-such-study", "-o", "other.keras"), "no-such-study"),
    ):
        refusal = project.command("model", *arguments)
        assert refusal.returncode == 2
        assert reason in refusal.stderr
        assert refusal.stderr.count("\n") == 1


def test_the_report_is_one_file_about_this_study(finished: tuple[Project, subprocess.CompletedProcess[str]]) -> None:
    project, _ = finished
    done = project.command("report", "cli", "-o", "report.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(project.folder / "report.html")
    page = (project.folder / "report.html").read_text()
    assert "Learning curves" in page
    assert "The latest run had these versions and this machine" in page
    assert project.command("report", "cli", "-o", "writeup.md", "--style", "writeup").returncode == 0
    assert "## Test harness" in (project.folder / "writeup.md").read_text()


def test_a_figure_is_written_alone_or_refused_in_one_line(
    finished: tuple[Project, subprocess.CompletedProcess[str]],
) -> None:
    project, _ = finished
    done = project.command("figure", "cli", "epochs_spent", "-o", "figure.html")
    assert done.stdout.strip() == str(project.folder / "figure.html"), done.stderr
    assert 'id="data-epochs_spent"' in (project.folder / "figure.html").read_text()
    for options, line in (
        (("epochs", "-o", "x.html"), "a figure must be one of best_so_far, history,"),
        (("history", "-o", "x.pdf"), "a figure's file must end in .html, .png or .svg; got 'x.pdf'"),
        (("history", "-o", "no/x.html"), "the figure's folder must exist; 'no' does not: create it"),
        (("lineages", "-o", "x.html"), "has nothing to draw: No trial continued from another one"),
    ):
        done = project.command("figure", "cli", *options)
        assert done.returncode == 2
        assert line in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_optuna_dashboard_shows_the_study_with_intermediate_values_and_pruned_trials(
    finished: tuple[Project, subprocess.CompletedProcess[str]], store: Store
) -> None:
    project, _ = finished
    server = project.start("dashboard", "--port", "0")
    try:
        assert server.stdout is not None
        match = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
        assert match is not None
        address = match.group()
        studies = read_json(f"{address}/api/studies")["study_summaries"]
        study_id = next(study["study_id"] for study in studies if study["study_name"] == "cli")
        trials = read_json(f"{address}/api/studies/{study_id}?after=0")["trials"]
    finally:
        os.killpg(server.pid, signal.SIGINT)
        assert server.wait(timeout=20) == 0
    ours = store.record("cli").trials
    assert [trial["state"].lower() for trial in trials] == list(ours["state"])
    assert [len(trial["intermediate_values"]) for trial in trials] == list(ours["epochs"])
    assert "Pruned" in {trial["state"] for trial in trials}


def read_json(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return json.load(answer)


def read_all(screen: int, shown: list[bytes]) -> None:
    """What appears on a terminal, until its programs have ended."""
    with contextlib.suppress(OSError):  # Linux's way of saying that the other side is closed
        while chunk := os.read(screen, 65536):
            shown.append(chunk)


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_pauses_the_study_and_says_how_to_go_on(project: Project, store: Store) -> None:
    file = project.write_study(
        name="interrupted", budget={"epochs": 80}, callbacks=["project:slow_journal"], max_epochs=40, pruner="none"
    )
    screen, terminal = pty.openpty()
    command = subprocess.Popen(
        [sys.executable, "-m", "bandstand", "run", str(file), "--workers", "2"],
        cwd=project.folder,
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    os.close(terminal)
    shown: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(screen, shown), daemon=True)
    reader.start()
    wait_until("3 epochs", lambda: epochs_of(store, "interrupted") >= 3 or command.poll() is not None)
    started = len(actor_processes(command, ""))
    assert started
    os.killpg(command.pid, signal.SIGINT)  # as the terminal does
    _, errors = command.communicate(timeout=90)
    reader.join(timeout=10)
    assert command.returncode == 130, errors
    assert f"paused; `bandstand run {file}` continues where it stopped" in errors
    assert "Traceback" not in errors
    text = b"".join(shown).decode(errors="replace")
    assert "interrupted" in text
    assert "budget" in text
    assert store.progress("interrupted").state == "stopped"
    trials = store.record("interrupted").trials
    assert set(trials["state"]) == {"waiting"}

    before = epochs_of(store, "interrupted")
    done = project.command("run", str(file), "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"continuing after 0 trials, {before} epochs" in done.stdout
    assert len(store.record("interrupted").measurements) == 80
    assert len((project.folder / "journal").read_text().splitlines()) == 80, "an epoch was trained twice"


@pytest.mark.slow
def test_stop_from_another_terminal_pauses_and_the_name_alone_resumes(project: Project, store: Store) -> None:
    file = project.write_study(name="stopped", budget={"epochs": 60}, callbacks=["project:slow_journal"], pruner="none")
    command = project.start("run", str(file), "--workers", "2")
    wait_until("3 epochs", lambda: epochs_of(store, "stopped") >= 3 or command.poll() is not None)
    assert store.progress("stopped").state == "running"
    assert "its trials pause" in project.command("stop", "stopped").stdout
    output, _ = command.communicate(timeout=90)
    assert command.returncode == 0, output
    assert "continues where it stopped" in output
    assert store.progress("stopped").state == "stopped"
    assert "it is not running, so there is nothing to stop" in project.command("stop", "stopped").stdout
    done = project.command("run", "stopped", "--resume", "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(store.record("stopped").measurements) == 60


@pytest.mark.slow
def test_no_process_is_left_when_a_run_has_ended(project: Project) -> None:
    file = project.write_study(name="tidy", budget={"epochs": 3})
    command = project.start("run", str(file), "--workers", "1")
    seen = wait_until("a trainer", lambda: actor_processes(command, "Trainer"))
    command.communicate(timeout=120)
    assert command.returncode == 0
    for process in seen:
        wait_until("the trainer's end", lambda process=process: not process.is_running(), seconds=10)


@pytest.mark.slow
def test_a_schema_that_is_too_old_is_refused_and_db_upgrade_mends_it(
    project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import command

    from bandstand.store import connecting

    url = make_database(store, "old_schema")
    engine = connecting.connect(url)
    with engine.begin() as connection:
        command.downgrade(connecting._alembic_config(connection), "0001")
    engine.dispose()
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", url)
    assert "it is at 0001: run `bandstand db upgrade`" in refused(project, "list")
    upgraded = project.command("db", "upgrade")
    assert "it was at 0001" in upgraded.stdout
    assert project.command("list").returncode == 0
    assert "the schema is already at revision" in project.command("db", "upgrade").stdout
