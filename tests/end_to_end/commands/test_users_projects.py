"""Projects whose files have names that others have, too, run as they stand, wherever they are started from."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bandstand.client import Client
from bandstand.store.accounts import Role
from bandstand.store.store import Store
from bandstand.study.find_study import find_study
from bandstand.submissions import SubmissionQueue
from tests.end_to_end.harness.databases import make_database
from tests.end_to_end.harness.project import Project, refused
from tests.end_to_end.harness.servers import Server
from tests.waiting import wait_until

PATIENCE_SECONDS = 600.0
NEVER = "raise RuntimeError('a library has imported a file of the user\\'s')\n"
FILES = {
    "service.py": "def scale(x):\n    return x / 2\n",
    "workers/__init__.py": "WIDTH = 4\n",
    "workers/layers.py": "from . import WIDTH\n",
    "search_spaces.py": "LEAST = 4\n",
    "test/__init__.py": "KIND = 'relu'\n",
    "utils.py": "from study import SEED\n",
    "study.py": "SEED = 3\n",
    "lazy.py": "ONE = 1\n",
    "numbers.csv": "1,2,3\n",
    "random.py": NEVER,
    "ray.py": NEVER,
    "yaml.py": NEVER,
    "train.py": """
import keras
import numpy as np

import search_spaces
import utils
from service import scale
from test import KIND
from workers.layers import WIDTH

FACTOR = float(open("numbers.csv").read().split(",")[0])


def load():
    rng = np.random.default_rng(utils.SEED)
    x = scale(rng.normal(size=(200, WIDTH)))
    y = (x[:, 0] > 0).astype("int32")
    assert open("numbers.csv").read() == "1,2,3\\n"
    return {"train": (x[:120], y[:120]), "validation": (x[120:160], y[120:160]), "test": (x[160:], y[160:])}


def build(params):
    import lazy
    import random

    assert callable(random.SystemRandom)
    keras.utils.set_random_seed(lazy.ONE)
    model = keras.Sequential([keras.Input((WIDTH,)), keras.layers.Dense(params["units"], activation=KIND)])
    model.add(keras.layers.Dense(2, activation="softmax"))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


settings = {
    "name": "from-python", "model": build, "data": load, "max_epochs": 3, "budget": {"trials": 2},
    "space": {"units": {"type": "int", "low": search_spaces.LEAST, "high": 16}},
}
""",
    "study.toml": """
name = "from-toml"
model = "train:build"
data = "train:load"
max_epochs = 3
budget = { trials = 2 }
[space]
units = { type = "int", low = 4, high = 16 }
""",
}


@pytest.fixture
def folder(tmp_path: Path, home: Path) -> Path:
    """The project."""
    place = tmp_path / "project"
    for name, content in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    return place


def bandstand(*arguments: str, cwd: Path, **environment: str) -> str:
    """What the command prints; it must succeed. Like the installed script, it has no folder of its own on its path."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bandstand", *arguments],
        cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_project_with_names_of_others_is_run_and_told_of_the_one_that_it_does_not_get(
    folder: Path, store: Store
) -> None:
    told = bandstand("run", "study.toml", "-w", "1", cwd=folder)
    record = store.record("from-toml")
    assert record.state == "finished"
    assert len(record.trials) == 2
    assert record.test_metrics is not None
    assert f"from-toml: {folder}/random.py has the name of a module of Python's standard library: rename it" in told
    assert "ray.py" not in told, "nobody imports it"


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["actors", "tune"])
def test_it_is_run_from_elsewhere_and_by_ray_tune(folder: Path, store: Store, tmp_path: Path, executor: str) -> None:
    (tmp_path / "numbers.csv").write_text("1,2,3\n")  # relative paths start where the command is started
    (tmp_path / "random.py").write_text(NEVER)
    study = folder / "train.py"
    study.write_text(study.read_text() + f"settings |= {{'name': 'elsewhere-{executor}', 'executor': {executor!r}}}\n")
    bandstand("run", "project/train.py:settings", "-w", "1", cwd=tmp_path, PYTHONPATH=str(tmp_path / "nowhere"))
    assert store.record(f"elsewhere-{executor}").state == "finished"


@pytest.mark.slow
def test_a_file_that_a_relative_path_misses_is_told_with_where_the_path_starts(folder: Path, tmp_path: Path) -> None:
    project = Project(tmp_path)
    said = refused(project, "run", "project/study.toml")
    assert "FileNotFoundError" in said
    assert f"relative paths start in {tmp_path}, where the command was started" in said


@pytest.mark.slow
def test_a_server_that_stands_in_the_project_runs_it_on_its_local_ray(
    folder: Path, store: Store, tmp_path: Path
) -> None:
    team = Store(make_database(store, "users-project"))
    token = team.accounts.create_token("ada", Role.SUBMITTER, 1).text
    server = Server(tmp_path / "server", {"BANDSTAND_DATABASE_URL": team.database.url}, cwd=folder)
    try:
        told: list[str] = []
        with Client(server.url, token=token) as client:
            spec = find_study(str(folder / "study.toml")).spec
            client.submit(spec, code=folder, workers=1, say=told.append)
            wait_until("it ends", lambda: _outcome(team, "from-toml"), PATIENCE_SECONDS)
        assert _outcome(team, "from-toml") == "finished", SubmissionQueue(team).log(
            SubmissionQueue(team).runs("from-toml")[0].id, limit=10**6
        )
        assert any("random.py has the name of a module of Python's standard library" in line for line in told)
    finally:
        server.end()
        print((tmp_path / "server").read_text())
        team.close()


def _outcome(team: Store, name: str) -> str:
    found = SubmissionQueue(team).find(name)
    return found.outcome if found is not None and found.state == "ended" else ""


def test_workers_that_die_without_a_word_are_told_with_the_end_of_their_log(project: Project) -> None:
    study = project.write_study(name="killed-workers")
    process = project.start("run", str(study), "-w", "1")
    workers = wait_until("workers", lambda: _workers_of(process.pid), PATIENCE_SECONDS)
    workers.kill()
    told, _ = process.communicate(timeout=PATIENCE_SECONDS)
    last = told.strip().splitlines()[-1]
    assert process.returncode == 1, told
    ending = "was killed by SIGKILL without a message: run the same command again to continue; its log "
    assert last.startswith(f"bandstand: the workers' process {ending}")
    assert Path(last.split("the log is ")[1]).is_file()
    assert "Traceback" not in told


def _workers_of(pid: int) -> psutil.Process | None:
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):  # it may be gone already
            if "bandstand_workers" in child.cmdline():
                return child
    return None


@pytest.mark.slow
def test_a_script_without_a_guard_is_run_once_and_a_function_below_its_call_is_told(folder: Path, store: Store) -> None:
    script = folder / "tune.py"
    call = "from bandstand import run_study\nrun_study(settings | {'name': 'unguarded'}, workers=1, quiet=True)\n"
    script.write_text(FILES["train.py"] + call)
    # A file of the user's called random.py would end Python itself where a script is started beside it.
    (folder / "random.py").unlink()
    done = subprocess.run(
        [sys.executable, "tune.py"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert store.record("unguarded").state == "finished"
    above, _, below = FILES["train.py"].partition("\ndef load():")
    script.write_text(f"{above}\n{call.replace('settings | ', '')}\ndef load():{below}")
    (folder / "study.toml").write_text(FILES["study.toml"].replace("train:", "tune:").replace("from-toml", "below"))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bandstand", "run", "study.toml", "-w", "1"],
        cwd=folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "the import of tune ended at run_study, before 'build' was defined" in done.stderr
