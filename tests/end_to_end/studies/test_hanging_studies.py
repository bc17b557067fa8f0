"""What hangs does not hang a study: a training without an end, a Ray whose parts die, a caller that is gone."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.processes import actor_processes, let_it_train
from tests.end_to_end.harness.project import Project
from tests.end_to_end.harness.ray_nodes import RayNodes
from tests.end_to_end.harness.stored_study import check_what_is_stored
from tests.waiting import wait_until

HANGING = """
import os
import time

import keras

from project import *


class Hangs(keras.callbacks.Callback):
    def __init__(self, hangs):
        super().__init__()
        self.hangs = hangs

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and self.hangs:
            open("hanging", "w").close()
            time.sleep(3600)


def some(params):
    return Hangs(params["units"] % 3 == 0)


def all_of_them(params):
    return Hangs(True)


def the_first(params):
    return Hangs(not os.path.exists("hanging"))


def load_for_ever():
    time.sleep(3600)


def build_for_ever(params):
    time.sleep(3600)

"""


@pytest.fixture
def hanging(project: Project) -> Project:
    (project.folder / "hanging_user.py").write_text(HANGING)
    (project.folder / "hanging").unlink(missing_ok=True)
    return project


@contextmanager
def started(project: Project, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`bandstand` with these arguments; whatever it has started is gone in the end."""
    command = project.start(*arguments)
    try:
        yield command
    finally:
        family = psutil.Process(command.pid).children(recursive=True) if command.poll() is None else []
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if command.poll() is None:
            command.kill()
            command.communicate()


def until_it_hangs(project: Project) -> None:
    wait_until("a training that hangs", (project.folder / "hanging").exists, seconds=300)


def workers_of(command: subprocess.Popen[str]) -> psutil.Process:
    """The process of workers that a command has started."""
    for process in psutil.Process(command.pid).children():
        if "bandstand_workers" in process.cmdline():
            return process
    raise AssertionError("no process of workers")


def part_of_ray(command: subprocess.Popen[str], name: str) -> psutil.Process | None:
    found = [process for process in psutil.Process(command.pid).children(recursive=True) if process.name() == name]
    return found[0] if found else None


@pytest.mark.slow
def test_a_trial_that_hangs_is_ended_and_the_others_go_on(hanging: Project, store: Store) -> None:
    file = hanging.write_study(
        name="hangs", callbacks=["hanging_user:some"], pruner="none", max_epochs=2, budget={"trials": 8},
        epoch_seconds=20, max_attempts=1,
    )  # fmt: skip
    done = hanging.command("run", str(file), "--workers", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    trials = store.record("hangs").trials
    hung = trials["params_units"] % 3 == 0
    assert 0 < hung.sum() < len(trials), "choose another seed"
    assert set(trials.loc[hung, "state"]) == {"failed"}
    assert set(trials.loc[~hung, "state"]) == {"complete"}
    assert "it finished no epoch within 20 s (epoch_seconds)" in done.stdout
    assert "It is ended after 20 s; the setting epoch_seconds changes this limit" in done.stdout


@pytest.mark.slow
def test_ctrl_c_ends_a_study_whose_training_hangs(hanging: Project, store: Store) -> None:
    file = hanging.write_study(name="hangs-on", callbacks=["hanging_user:all_of_them"])
    with started(hanging, "run", str(file), "--workers", "1") as command:
        until_it_hangs(hanging)
        command.send_signal(signal.SIGINT)
        output, _ = command.communicate(timeout=200)
    assert command.returncode == 130, output
    record = store.record("hangs-on")
    assert record.state == "stopped"
    assert set(record.trials["state"]) <= {"waiting", "paused", "running"}, "a stop is not the trial's failure"


@pytest.mark.slow
def test_a_budget_of_time_ends_a_study_whose_training_hangs(hanging: Project, store: Store) -> None:
    file = hanging.write_study(name="hangs-long", callbacks=["hanging_user:all_of_them"], budget={"wall_seconds": 15})
    done = hanging.command("run", str(file), "--workers", "1", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    record = store.record("hangs-long")
    assert record.state == "finished"
    assert record.wall_seconds < 15 + 60 + 30, "the grace is 60 s; ending and replacing a trainer takes some more"


@pytest.mark.slow
@pytest.mark.parametrize("part", ["raylet", "gcs_server"])
def test_a_local_ray_whose_parts_die_is_started_again(part: str, project: Project, store: Store) -> None:
    name = f"without-{part}"
    file = project.write_study(name=name, budget={"epochs": 60}, callbacks=["project:slow_journal"], max_attempts=5)
    with started(project, "run", str(file), "--workers", "2") as command:
        let_it_train(command, store, name, 6, random.Random(5))
        process = part_of_ray(command, part)
        assert process is not None
        process.kill()
        output, _ = command.communicate(timeout=600)
    assert command.returncode == 0, output
    assert f"{name}: a part of the local Ray died: " in output
    assert "Ray is started again" in output
    check_what_is_stored(store, name, project, 60)


@pytest.mark.slow
@pytest.mark.parametrize("part", ["raylet", "gcs_server"])
def test_a_local_ray_whose_parts_die_while_it_starts_is_started_again(part: str, project: Project) -> None:
    file = project.write_study(name=f"at-start-{part}", budget={"epochs": 8})
    said: list[str] = []
    with started(project, "run", str(file), "--workers", "1") as command:
        wait_until(f"a {part}", lambda: part_of_ray(command, part), 300).kill()
        assert command.stdout is not None
        for line in command.stdout:
            said.append(line)
            if "Ray is started again" in line:  # on a busy machine it may not come up in time: that is Ray's affair
                command.terminate()
                break
        rest, _ = command.communicate(timeout=300)
    assert "Ray is started again" in said[-1]
    for words in ("Traceback", "KeyError", "Connection refused"):
        assert words not in "".join(said) + rest


@pytest.mark.slow
def test_workers_whose_caller_was_killed_end_within_a_minute_and_give_the_study_back(
    hanging: Project, store: Store
) -> None:
    file = hanging.write_study(name="orphaned", callbacks=["hanging_user:all_of_them"])
    with started(hanging, "run", str(file), "--workers", "1") as command:
        until_it_hangs(hanging)
        workers = workers_of(command)
        (trainer,) = actor_processes(command, "Trainer")
        os.kill(command.pid, signal.SIGKILL)
        command.communicate()
        began = time.monotonic()
        _, left = psutil.wait_procs([workers, trainer], timeout=70)
        assert left == [], f"still there after {time.monotonic() - began:.0f} s"
    (hanging.folder / "hanging").unlink()
    with started(hanging, "run", str(file), "--workers", "1"):
        until_it_hangs(hanging)


@pytest.mark.slow
def test_a_loader_that_hangs_is_told_and_ended(hanging: Project, store: Store) -> None:
    file = hanging.write_study(name="hangs-loading", data="hanging_user:load_for_ever", load_seconds=40)
    done = hanging.command("run", str(file), "--workers", "1", timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "It is ended after 40 s; the setting load_seconds changes this limit" in done.stdout
    assert "must load the study's code and data within 40 s (load_seconds)" in done.stderr
    assert "Traceback" not in done.stderr
    assert all(study.name != "hangs-loading" for study in store.studies()), "nothing was written"


@pytest.mark.slow
def test_a_builder_that_hangs_in_the_check_is_told_and_ended(hanging: Project, store: Store) -> None:
    file = hanging.write_study(name="hangs-building", model="hanging_user:build_for_ever", load_seconds=60)
    done = hanging.command("run", str(file), "--workers", "1", timeout=400)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "its builder makes a model" in done.stdout
    assert "must be checked within 60 s (load_seconds)" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tune-pbt"])
def test_a_training_that_hangs_under_ray_tune_is_ended_too(sampler: str, hanging: Project, store: Store) -> None:
    name = f"hangs-{sampler}"
    more: dict[str, object] = {"pruner": "none", "max_epochs": 2, "budget": {"trials": 6}}
    if sampler == "tune-pbt":
        options = {"population": 4, "interval": 2, "fraction": 0.5}
        more = {"sampler": sampler, "sampler_options": options, "pruner": "", "max_epochs": 4, "budget": {"trials": 4}}
    file = hanging.write_study(
        name=name, executor="tune", callbacks=["hanging_user:the_first"], epoch_seconds=30, max_attempts=1, **more
    )
    done = hanging.command("run", str(file), "--workers", "1", timeout=570)
    assert done.returncode == 0, done.stdout + done.stderr
    trials = store.record(name).trials
    hung = trials["state"] == "failed"
    assert hung.sum() == 1, trials["state"]
    assert set(trials.loc[~hung, "state"]) <= {"complete", "pruned"}
    assert "it finished no epoch within 30 s (epoch_seconds)" in trials.loc[hung, "message"].item()


@pytest.mark.slow
def test_a_cluster_that_is_lost_is_named_and_the_same_command_goes_on(
    project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project.write_study(name="lost", budget={"epochs": 40}, callbacks=["project:slow_journal"], max_attempts=5)
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", store.database.url)
    with RayNodes() as nodes:
        for name, value in (nodes.settings | {"RAY_ADDRESS": nodes.address}).items():
            monkeypatch.setenv(name, value)
        nodes.add(cpus=2)
        with started(project, "run", str(file), "--workers", "1") as command:
            let_it_train(command, store, "lost", 4, random.Random(1))
            nodes.kill_gcs()
            output, _ = command.communicate(timeout=120)
        assert command.returncode == 75, output  # the same command goes on once the cluster is there again
        _, _, port = nodes.address.rpartition(":")  # the cluster calls itself by the address of its node
        assert re.search(rf"the Ray cluster at \S+:{port} is lost: its GCS \(\S+:{port}", output), output
        assert "Traceback" not in output
    monkeypatch.delenv("RAY_ADDRESS")
    with RayNodes() as nodes:
        for name, value in (nodes.settings | {"RAY_ADDRESS": nodes.address}).items():
            monkeypatch.setenv(name, value)
        nodes.add(cpus=2)
        again = project.command("run", str(file), "--workers", "1")
        assert again.returncode == 0, again.stdout + again.stderr
    check_what_is_stored(store, "lost", project, 40)
