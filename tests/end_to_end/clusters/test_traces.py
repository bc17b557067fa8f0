"""One trace leads from the dispatch of a job to each attempt of its trials, over all processes between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bandstand.store.store import Store
from bandstand.submissions import SubmissionQueue
from tests.end_to_end.harness.databases import make_database
from tests.end_to_end.harness.ray_cluster import RayCluster
from tests.end_to_end.harness.servers import PATIENCE_SECONDS, Server, User
from tests.trace_collector import Collector
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def team(store: Store) -> Iterator[Store]:
    opened = Store(make_database(store, "traced"))
    yield opened
    opened.close()


@pytest.fixture
def variables(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}


@pytest.fixture
def cluster(team: Store, home: Path, variables: dict[str, str]) -> Iterator[RayCluster]:
    started = RayCluster(team.database.url, "d" * 64, cpus=2, variables=variables)
    yield started
    started.end()


@pytest.fixture
def server(team: Store, tmp_path: Path, cluster: RayCluster, variables: dict[str, str]) -> Iterator[Server]:
    environment = {"BANDSTAND_DATABASE_URL": team.database.url} | cluster.environment | variables
    started = Server(tmp_path / "server", environment)
    yield started
    started.end()
    print((tmp_path / "server").read_text())


def test_a_trace_leads_from_a_dispatched_job_to_each_attempt(team: Store, server: Server, collector: Collector) -> None:
    ada = User(team, "ada")
    ada.server = server.url
    ada.submit("traced", 24)

    def ended() -> bool:
        found = SubmissionQueue(team).find("traced")
        return found is not None and found.state == "ended"

    wait_until("the study's end", ended, PATIENCE_SECONDS)
    assert team.progress("traced").state == "finished"
    wait_until("the study's span", lambda: collector.named("run a study"))
    (dispatch,), (study,) = collector.named("dispatch a job"), collector.named("run a study")
    attempts = collector.named("train a trial")
    assert (dispatch.parent, study.parent) == ("", dispatch.id)
    assert {attempt.parent for attempt in attempts} == {study.id}
    assert {one.trace for one in (study, *attempts)} == {dispatch.trace}
    assert [one.service for one in (dispatch, study, attempts[0])] == [
        "bandstand-dispatcher", "bandstand-job", "bandstand-coordinator",
    ]  # fmt: skip
    trials = team.record("traced").trials
    assert {attempt.about["bandstand.trial"] for attempt in attempts} == set(trials["number"])
    assert study.about == {"bandstand.study": "traced", "bandstand.outcome": "finished"}
    assert dispatch.about == {"bandstand.study": "traced", "bandstand.run": 1}
    assert not [one for one in (dispatch, study, *attempts) if one.failed]
    asked = {one.name for one in collector.spans if one.service == "bandstand-server"}
    assert [name for name in asked if name.startswith("POST /")]
    everything = str(collector.spans)
    assert ada.token not in everything
    assert team.database.url not in everything
