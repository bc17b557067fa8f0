"""What pods run, run as pods run it."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from bandstand.store import connecting
from bandstand.store.store import Store
from tests.deploy.containers import in_container, owned_folder, postgresql

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def database():
    with postgresql() as url:
        yield url


@pytest.fixture
def folder():
    with owned_folder() as made:
        yield made


def to_the_schema_before(url):
    """As the release before has left it; returns its revision."""
    connecting.migrate(connecting.connect(url, any_schema=True))
    Store(url).close()
    engine = connecting.connect(url, any_schema=True)
    with engine.begin() as connection:
        command.downgrade(connecting._alembic_config(connection), "-1")
        before = connecting.revision_of(connection)
    engine.dispose()
    return before


def test_a_container_of_the_tests_is_as_narrow_as_a_pod(folder):
    script = (
        "id -u; grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; "
        "touch /etc/x; touch x && echo written; ip -br link"
    )
    done = in_container(["bash", "-c", script], {}, [folder])
    lines = done.stdout.split("\n")
    assert lines[0] == "10001"
    assert {line.split()[0]: int(line.split()[1], 16) for line in lines[1:4]} == {
        "CapEff:": 0,
        "CapBnd:": 0,
        "NoNewPrivs:": 1,
    }
    assert "Read-only file system" in done.stderr
    assert lines[4] == "written"
    assert [line.split()[0] for line in lines[5:] if line] == ["lo"]


def test_the_migration_brings_the_schema_before_up_to_date_and_servers_wait_for_it(database, folder):
    before = to_the_schema_before(database)
    environment = {"BANDSTAND_DATABASE_URL": database, "BANDSTAND_HOME": str(folder), "TMPDIR": str(folder)}

    def bandstand(*words):
        return in_container(["bandstand", *words], environment, [folder])

    serving = bandstand("serve", "--no-dispatch", "--port", "0")
    assert serving.returncode != 0
    assert "bandstand db upgrade" in serving.stderr
    migrated = bandstand("db", "upgrade")
    assert migrated.returncode == 0, migrated.stderr
    assert before in migrated.stdout
    assert connecting.newest_revision() in migrated.stdout
    again = bandstand("db", "upgrade")
    assert again.returncode == 0, again.stderr
    engine = sa.create_engine(connecting._driver_url(database))
    with engine.connect() as connection:
        assert connecting.revision_of(connection) == connecting.newest_revision()
    engine.dispose()


def test_the_chain_trains_a_study_to_its_end_though_the_server_that_has_it_is_killed(database, folder):
    """Migration, head, worker without the database's URL, two servers, a study, a killed server."""
    to_the_schema_before(database)
    environment = {
        "BANDSTAND_DATABASE_URL": database, "BANDSTAND_HOME": f"{folder}/home", "TMPDIR": str(folder),
        "HOME": str(folder), "BANDSTAND_CHECKPOINTS": f"{folder}/checkpoints", "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(16), "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0",
        "RAY_JOB_STOP_WAIT_TIME_S": "60", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    done = in_container([sys.executable, "-m", "tests.deploy.chain", str(folder)], environment, [folder], timeout=1500)
    told = done.stdout.splitlines()
    assert done.returncode == 0, f"{told}\n{done.stderr[-6000:]}"
    assert told[0].startswith("migrated: ")
    assert told[1:-1] == ["head", "worker", "server-1", "server-2", "submitted", "killed", "ended: finished"]
    assert int(told[-1].removeprefix("trials in the log: ")) > 1
    assert list((folder / "checkpoints").rglob("*.keras"))
