"""`bandstand doctor` tells what may be wrong with an installation, a line each, with what to do and no secret."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import httpx
import psycopg
import pytest

from bandstand.commands.work.checkup import databases, folders, hardware, packages, services
from bandstand.commands.work.checkup.finding import Finding, surely
from bandstand.running import ray_folders
from bandstand.store.store import Store
from tests.end_to_end.harness.databases import make_database
from tests.service.commands.in_process import Bandstand

Usage = namedtuple("Usage", "total used free")  # as `shutil.disk_usage` returns
SECRET = "pl4nted-secret"


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.part: finding.level for finding in findings if finding.level != "ok"}


def only(findings: list[Finding], part: str) -> Finding:
    (found,) = [finding for finding in findings if finding.part == part and finding.level != "ok"]
    assert found.advice
    return found


@pytest.fixture
def calm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own on a machine where all is well."""
    for name in os.environ:
        if name.startswith(("BANDSTAND_", "RAY_")) or name == "KERAS_BACKEND":
            monkeypatch.delenv(name)
    monkeypatch.setenv("BANDSTAND_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path / "home"


# -- the command ------------------------------------------------------------------------------------------------------


def test_on_a_fresh_machine_there_is_no_problem_and_nothing_is_made(calm: Path, bandstand: Bandstand) -> None:
    said = bandstand("doctor")
    assert (said.code, said.err) == (0, "")
    assert "an embedded PostgreSQL will be made" in said.out
    assert "problem " not in said.out
    assert not calm.exists()


def test_a_problem_is_an_exit_code_and_json_says_the_same(
    calm: Path, bandstand: Bandstand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", f"postgresql://ada:{SECRET}@127.0.0.1:1/mine")
    said = bandstand("doctor")
    assert said.code == 1
    assert SECRET not in said.out + said.err
    told = bandstand("doctor", "--json")
    assert told.code == 1
    (finding,) = [one for one in json.loads(told.out) if one["level"] == "problem"]
    assert finding["part"] == "database"
    assert "Start it, or correct BANDSTAND_DATABASE_URL" in finding["advice"]
    assert "Traceback" not in said.err + told.err


def test_an_examination_that_fails_is_a_line_and_the_others_go_on() -> None:
    def fails() -> list[Finding]:
        raise OSError(SECRET)

    (finding,) = surely("disk", fails)
    assert (finding.level, finding.message) == ("warning", "it cannot be examined: OSError")


def test_it_loads_neither_ray_nor_keras(calm: Path) -> None:
    import subprocess

    code = (
        "import sys; from bandstand.commands.cli import main\nsys.argv = ['bandstand', 'doctor']\n"
        "try: main()\nfinally: print(sorted({'ray', 'keras', 'tensorflow', 'jax', 'optuna'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


# -- the database -----------------------------------------------------------------------------------------------------

URLS = {
    "not a URL": ("what?", "must be a URL such as"),
    "another database": ("mysql://ada@db/mine", "must name a PostgreSQL server"),
    "no server": ("postgresql://ada@127.0.0.1:1/mine", "Start it, or correct"),
    "no such host": ("postgresql://ada@nowhere.invalid/mine", "nowhere.invalid"),
}


@pytest.mark.parametrize("url", URLS)
def test_a_wrong_url_is_a_problem(url: str, calm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", URLS[url][0])
    finding = only(list(databases.examine_database()), "database")
    assert finding.level == "problem"
    assert URLS[url][1] in finding.message + finding.advice


@pytest.mark.parametrize(
    ("revision", "told"), [("0001", "run `bandstand db upgrade`"), ("9999", "upgrade this Bandstand")]
)
def test_a_schema_of_another_release_is_a_problem(
    revision: str, told: str, calm: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database(store, f"doctor_{revision}")
    Store(url).close()
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", url)
    assert levels(list(databases.examine_database())) == {}
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE bandstand_store.alembic_version SET version_num = %s", (revision,))
    finding = only(list(databases.examine_database()), "schema")
    assert finding.level == "problem"
    assert told in finding.advice


def test_a_user_without_rights_is_told_which_are_missing(
    calm: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database(store, "doctor_rights")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE doctor_guest LOGIN")
    guest = url.replace("postgres@", "doctor_guest@")
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", guest)
    finding = only(list(databases.examine_database()), "permissions")
    assert (finding.level, finding.message) == ("problem", "user 'doctor_guest' may not make the schema")
    Store(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("GRANT USAGE ON SCHEMA bandstand_store TO doctor_guest")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA bandstand_store TO doctor_guest")
    finding = only(list(databases.examine_database()), "permissions")
    assert finding.level == "warning"
    assert "may not read and write these tables: alembic_version, attempt" in finding.message


def test_clocks_that_differ_are_told(calm: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", make_database(store, "doctor_clock"))
    real = databases.time.time
    monkeypatch.setattr(databases.time, "time", lambda: real() - 3600)
    assert "differ by 3600 s" in only(list(databases.examine_database()), "clock").message


def test_data_of_another_postgresql_are_a_problem(calm: Path) -> None:
    (calm / "postgres").mkdir(parents=True)
    (calm / "postgres" / "PG_VERSION").write_text("9\n")
    finding = only(list(databases.examine_database()), "database")
    assert finding.level == "problem"
    assert "run `bandstand db upgrade`" in finding.advice


def test_a_cluster_cannot_use_the_embedded_database(calm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert "BANDSTAND_DATABASE_URL" in only(list(databases.examine_database()), "database").advice


# -- folders and disks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "level"), [(100 * 1024**2, "problem"), (2 * 1024**3, "warning"), (50 * 1024**3, None)]
)
def test_a_disk_that_is_nearly_full_is_told(
    free: int, level: str | None, calm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100 * 1024**3, 100 * 1024**3 - free, free))
    found = levels(list(folders.examine_folders()))
    assert found.pop("shared memory", "warning") == "warning"
    assert found == ({} if level is None else {"disk": level})


def test_a_disk_on_which_ray_stops_is_told(calm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**15, 10**15 - 10**13, 10**13))
    assert only(list(folders.examine_folders()), "disk").level == "warning"


def test_little_shared_memory_is_told(calm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = shutil.disk_usage
    few = Usage(64 * 1024**2, 0, 64 * 1024**2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: few if str(path) == "/dev/shm" else real(path))
    assert "--shm-size" in only(list(folders.examine_folders()), "shared memory").advice


def test_a_home_that_is_a_file_or_everybodys_is_a_problem(calm: Path) -> None:
    calm.write_text("")
    assert "is a file" in only(list(folders.examine_folders()), "home").message
    calm.unlink()
    calm.mkdir()
    calm.chmod(0o777)
    finding = only(list(folders.examine_folders()), "home")
    assert (finding.level, finding.advice) == ("problem", f"chmod o-w {calm}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_a_problem(calm: Path) -> None:
    calm.mkdir(mode=0o500)
    assert "may not write" in only(list(folders.examine_folders()), "home").message


def test_paths_too_long_for_sockets_are_told(calm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANDSTAND_HOME", f"/tmp/{'x' * 100}")
    assert "too long a path for the socket of PostgreSQL" in only(list(folders.examine_folders()), "home").message
    monkeypatch.setattr(ray_folders, "_MOST_BYTES", 20)
    finding = only(list(folders.examine_folders()), "sockets")
    assert (finding.level, finding.advice) == ("problem", "set RAY_TMPDIR to one")


MOUNTS = """22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /people rw,relatime shared:9 - nfs4 server:/people rw
31 22 0:41 / /with\\040blank rw,relatime - cifs //server/share rw
32 30 0:42 / /people/ada/local rw - xfs /dev/sdb1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/x", "ext4"),
        ("/people/ada", "nfs4"),
        ("/peoples", "ext4"),
        ("/with blank/x", "cifs"),
        ("/people/ada/local", "xfs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert folders.file_system_of(Path(path), MOUNTS) == kind


def test_a_home_on_a_network_file_system_is_told(calm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "file_system_of", lambda _: "nfs4")
    assert "network file system (nfs4)" in only(list(folders.examine_folders()), "home").message
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", "postgresql://db/mine")
    assert "home" not in levels(list(folders.examine_folders()))


# -- packages and GPUs ------------------------------------------------------------------------------------------------


def test_versions_outside_of_what_is_required_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    monkeypatch.setattr(packages, "version", lambda name: "0.0.1" if name == "sqlalchemy" else real(name))
    finding = only(list(packages.examine_packages()), "versions")
    assert finding.level == "problem"
    assert "sqlalchemy 0.0.1 (must be >=" in finding.message.lower()


def test_a_machine_without_ray_can_look_but_not_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    finding = only(list(packages.examine_packages()), "training")
    assert (finding.level, finding.message) == ("warning", "this machine cannot train: ray not installed")
    assert list(services.examine_cluster()) == []


@pytest.mark.parametrize("backend", ["torch", "Jax", "jax"])
def test_a_backend_that_no_trainer_has_is_a_problem(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    monkeypatch.setenv("KERAS_BACKEND", backend)
    assert only(list(packages.examine_packages()), "backend").level == "problem"


def driver(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(hardware, "_has_device", lambda: True)


def test_a_gpu_whose_driver_does_not_answer_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, "echo Driver/library version mismatch >&2; exit 18", monkeypatch)
    assert "driver does not answer" in only(list(hardware.examine_gpus()), "GPU").message


def test_a_gpu_that_tensorflow_does_not_find_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(tmp_path, "echo NVIDIA H200, 143771 MiB", monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(hardware, "_ASK", {"tensorflow": "print(0)"})
    finding = only(list(hardware.examine_gpus()), "GPU")
    assert finding.message == "NVIDIA H200, 143771 MiB; tensorflow finds none of it"
    assert finding.advice == 'pip install "bandstand[gpu]"'
    monkeypatch.setattr(hardware, "_ASK", {"tensorflow": "print(1)"})
    assert levels(list(hardware.examine_gpus())) == {}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "CUDA_VISIBLE_DEVICES hides it" in only(list(hardware.examine_gpus()), "GPU").message


# -- over the network -------------------------------------------------------------------------------------------------


def test_a_cluster_that_does_not_answer_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        assert levels(list(services.examine_cluster())) == {}
        monkeypatch.setenv("RAY_ADDRESS", f"ray://{address}")
        assert levels(list(services.examine_cluster())) == {}
    finding = only(list(services.examine_cluster()), "Ray")
    assert finding.level == "problem"
    assert "correct RAY_ADDRESS" in finding.advice


def test_a_server_is_asked_with_the_token_and_the_token_is_not_shown(
    calm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANDSTAND_URL", f"https://user:{SECRET}@bandstand.example")
    monkeypatch.setenv("BANDSTAND_TOKEN", SECRET)
    for status, level in ((200, None), (401, "problem"), (502, "problem")):
        monkeypatch.setattr(httpx, "get", lambda *_, status=status, **__: httpx.Response(status))
        found = list(services.examine_server())
        assert levels(found) == ({} if level is None else {"server": level})
        assert SECRET not in repr(found)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(calm))
    monkeypatch.setenv("BANDSTAND_URL", "http://127.0.0.1:1")
    assert "does not answer: ConnectError" in only(list(services.examine_server()), "server").message


def test_a_login_that_others_may_read_is_a_problem(calm: Path, tmp_path: Path) -> None:
    file = tmp_path / "settings" / "bandstand" / "login.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"url": "http://127.0.0.1:1", "token": SECRET}))
    file.chmod(0o644)
    found = list(services.examine_server())
    assert only(found, "login").level == "problem"
    assert SECRET not in repr(found)
    file.write_text("{")
    assert "log in again" in only(list(services.examine_server()), "server").advice
