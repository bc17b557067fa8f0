"""Checkpoints and models in a bucket of an S3 server, which runs here."""

from __future__ import annotations

import json
import os
import sys

import boto3
import pytest
from moto.server import ThreadedMotoServer

from bandstand import stored_files, stray_files
from bandstand.errors import MissingExtraError
from bandstand.running.extras_for_training import require_training
from tests.end_to_end.harness.project import Project

BUCKET = "bandstand-checkpoints"
PLACE = f"s3://{BUCKET}/team"


@pytest.fixture(scope="module")
def bucket(home):
    """A bucket on a server of this process; what reaches it is in the environment, as in a pod."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1", "BANDSTAND_CHECKPOINTS": PLACE,
    }  # fmt: skip
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield lambda: sorted(one["Key"] for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", []))
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    server.stop()


def test_a_file_is_written_read_and_deleted_in_a_bucket(bucket):
    uri = f"{PLACE}/study/trial-3/epoch-9.safetensors"
    stored_files.write(b"weights", uri)
    assert bucket() == ["team/study/trial-3/epoch-9.safetensors"]
    stored_files.write(b"newer weights", uri)
    assert stored_files.read(uri) == b"newer weights"
    stored_files.delete(uri)
    stored_files.delete(uri)  # once more is no error
    assert bucket() == []
    with pytest.raises(FileNotFoundError):
        stored_files.read(uri)


def test_files_in_a_bucket_that_the_database_does_not_name_go_and_others_stay(bucket):
    folder = f"{PLACE}/study-4-0a1b2c3d"
    names = [
        "trial-00001/epoch-0001-attempt-1.checkpoint",
        "trial-00002/model-attempt-1.keras",
        "trial-00002/notes.txt",
    ]
    others = [f"{PLACE}/study-4-ffffffff/{names[0]}", f"{PLACE}/study-4-0a1b2c3d-old/{names[0]}"]
    for uri in [*(f"{folder}/{name}" for name in names), *others]:
        stored_files.write(b"1234", uri)
    assert stray_files.folders_in(PLACE) == [folder, f"{PLACE}/study-4-ffffffff"]
    assert stray_files.bytes_below(PLACE) == 12
    assert stray_files.remove_strays(folder, [f"{folder}/{names[1]}"]) == 4
    left = [f"study-4-0a1b2c3d/{names[1]}", f"study-4-0a1b2c3d/{names[2]}"]
    assert [key.removeprefix("team/") for key in bucket() if "0a1b2c3d/" in key] == left
    for uri in [*(f"{folder}/{name}" for name in names), *others]:
        stored_files.delete(uri)
    assert bucket() == []


def test_a_run_says_which_extra_a_bucket_needs(bucket, monkeypatch):
    require_training("this")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r'needs packages that keep files in an S3 bucket.*"bandstand\[s3\]"'):
        require_training("this")


@pytest.mark.slow
def test_a_study_keeps_its_models_in_a_bucket_and_gives_them_out(bucket, home, tmp_path):
    project = Project(tmp_path)
    ran = project.command("run", str(project.write_study(name="in-a-bucket")))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    best = json.loads(project.command("best", "in-a-bucket", "--json").stdout)
    assert best["model_path"].startswith(f"{PLACE}/")
    assert bucket() == [best["model_path"].removeprefix(f"s3://{BUCKET}/")], "nothing else is left there"
    assert not list(home.rglob("*.keras"))
    assert project.command("model", "in-a-bucket", "-o", "best.keras").returncode == 0
    assert (tmp_path / "best.keras").stat().st_size > 1000
