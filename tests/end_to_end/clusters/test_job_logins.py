"""What submitted code reaches of the database from inside of a real job, on a PostgreSQL that asks for passwords."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from bandstand.store import tables
from bandstand.store.accounts import Role
from bandstand.store.job_logins.job_logins import JobLogins
from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec, study_spec_from
from bandstand.submissions import CodeArchive, ServerQueue, SubmissionQueue
from bandstand.submissions.queue import SubmissionTerms
from tests.end_to_end.harness import thief
from tests.end_to_end.harness.project import CODE, SETTINGS
from tests.end_to_end.harness.ray_cluster import RayCluster
from tests.postgres_server import PASSWORD, SUPERUSER_PASSWORD, PasswordServer
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
RAY_TOKEN = "c" * 64


@pytest.fixture(scope="module")
def server(password_server: PasswordServer) -> PasswordServer:
    return password_server


@pytest.fixture(scope="module")
def team(server: PasswordServer, home: Path) -> Iterator[Store]:
    opened = Store(server.make_database("team"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def loot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the thief writes."""
    return tmp_path_factory.mktemp("loot") / "found.json"


@pytest.fixture(scope="module")
def cluster(loot: Path) -> Iterator[RayCluster]:
    """Its nodes are not told of the database."""
    variables = {"THIEF": str(loot), "THIEF_ABOUT": str(loot.with_name("about.json"))}
    started = RayCluster("", RAY_TOKEN, cpus=2, variables=variables)
    yield started
    started.end()


@pytest.fixture
def start(team: Store, cluster: RayCluster, tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Starts a dispatcher; returns the file with its output."""
    output = tmp_path / "dispatcher"
    started: list[subprocess.Popen[bytes]] = []

    def start_one() -> Path:
        environment = os.environ | cluster.environment | {"BANDSTAND_DATABASE_URL": team.database.url}
        with output.open("a") as file:
            command = [sys.executable, "-m", "bandstand_workers", "dispatch"]
            started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=file, env=environment))
        return output

    yield start_one
    for one in started:
        one.kill()
        one.wait()
    print(output.read_text())


def make_spec(name: str, **changes: Any) -> StudySpec:
    return study_spec_from({**SETTINGS, "name": name, "budget": {"epochs": 8}, **changes}, "a test")


def submit(team: Store, spec: StudySpec, submitter: str) -> None:
    files = {"project.py": CODE.encode(), "thief.py": Path(thief.__file__).read_bytes()}
    terms = SubmissionTerms(submitter=submitter, code=CodeArchive.of_files(files), workers=1)
    SubmissionQueue(team).submit_study(spec, terms)


def ended(team: Store, name: str) -> Any:
    found = SubmissionQueue(team).find(name)
    return found if found is not None and found.state == "ended" else None


def logins(team: Store) -> list[str]:
    with team.database.connection() as connection:
        query = "SELECT rolname FROM pg_roles WHERE rolname ~ '^bandstand-'"
        return list(connection.execute(sa.text(query)).scalars())


def column(team: Store, name: str, of: Any) -> Any:
    with team.database.connection() as connection:
        return connection.execute(sa.select(of).where(tables.study.c.name == name)).scalar_one()


def test_a_job_reaches_its_own_study_and_nothing_else(team, cluster, loot, start) -> None:
    """Beside it runs somebody else's study, whose rows it is after; both come to their ends."""
    secrets = [
        team.accounts.create_token("grace", Role.ADMIN, 1).text.split("_", 2)[2],
        team.accounts.signing_key().hex(),
    ]
    submit(team, make_spec("victim", callbacks=["project:slow_journal"], budget={"epochs": 400}), "grace")
    output = start()
    wait_until("the other one trains", lambda: team.progress("victim").epochs >= 2, 400)
    assert "each job has a database login of its own" in output.read_text()
    (other,) = [run.id for run in SubmissionQueue(team).runs("victim")]
    about = {
        "victim": column(team, "victim", tables.study.c.id), "other": other,
        "optuna_victim": column(team, "victim", tables.study.c.optuna_study_id),
    }  # fmt: skip
    loot.with_name("about.json").write_text(json.dumps(about))
    before = team.accounts.list_tokens()

    submit(team, make_spec("thief", data="thief:load"), "mallory")
    thief_ended = wait_until("the thief has ended", lambda: ended(team, "thief"), 400)
    assert thief_ended.outcome == "finished", thief_ended.message
    found = json.loads(loot.read_text())
    (run,) = [one.id for one in SubmissionQueue(team).runs("thief")]
    for secret in (PASSWORD, SUPERUSER_PASSWORD, *secrets):
        assert secret not in found["shown"]
    assert [url for url in found["found"] if url in found["live"]] == [], "what is shown lets nobody in"
    users = {tried["user"] for tried in found["tried"]}
    assert users == {run}, "the memory of the job's own coordinator was read, or this test shows nothing"
    for tried in found["tried"]:
        check_thief(tried, run)
    assert team.accounts.list_tokens() == before

    SubmissionQueue(team).stop("victim")
    assert wait_until("the other one has ended", lambda: ended(team, "victim"), 200).outcome == "stopped"
    assert column(team, "victim", tables.study.c.state) == "stopped"
    wait_until("the logins are gone", lambda: logins(team) == [])


def check_thief(tried: dict[str, Any], run: str) -> None:
    assert tried["done"] == []
    seen = tried["seen"]
    mine = ["thief"]
    assert seen.pop("runs") == [run]
    for what in ("studies", "studies with the settings set", "studies as the group", "studies with the role reset",
                 "submissions", "studies with events", "Optuna's studies"):  # fmt: skip
        assert seen.pop(what) in (mine, []), what
    assert {what: rows for what, rows in seen.items() if rows} == {}, "of others nothing is seen, and nothing changed"


def test_the_login_of_a_job_that_has_ended_is_of_no_use(team, server, cluster, start) -> None:
    """Neither is one that a vanished server has left behind, nor one whose study was deleted."""
    submit(team, make_spec("left", budget={"epochs": 4}), "ada")
    queue = ServerQueue(team, "a machine that is gone")
    claimed = queue.claim(per_user=9)
    vanished = JobLogins(team.database)
    url = vanished.create(claimed.run.id)
    orphan = vanished.create("bandstand-999-1-" + "a" * 12)
    psycopg.connect(url).close()
    queue.leave()
    start()
    assert wait_until("it has ended", lambda: ended(team, "left"), 400).outcome == "finished"
    wait_until("the logins are gone", lambda: logins(team) == [])
    for one in (url, orphan):
        with pytest.raises(psycopg.OperationalError, match="authentication"):
            psycopg.connect(one)
