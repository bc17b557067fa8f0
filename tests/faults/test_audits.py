"""The audits of a storm see what they are there for: each planted fault is found, and nothing else is."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from bandstand.store.store import Store
from bandstand.study.study_spec import StudySpec
from bandstand.trials.events import Action, Decided, Event, Promoted, Proposed
from tests.end_to_end.harness.databases import make_database
from tests.faults import gates
from tests.faults.audit import audit_connection, audit_study, check_journal
from tests.faults.gates import Gate
from tests.faults.replay import replay_decisions
from tests.faults.studies import STUDIES, settings_of
from tests.service.api.staged import StagedStudy, make_spec
from tests.service.search.harness.pairs import settings_for
from tests.service.search.harness.virtual_cluster import VirtualCluster
from tests.waiting import wait_until

EPOCHS = 40
FAULTS = {
    "DELETE FROM bandstand_store.measurement WHERE trial = 1 AND epoch = 2": "an epoch is missing or counted twice",
    "UPDATE bandstand_store.measurement SET seq = seq + 1 WHERE trial = 1 AND epoch = 1": "an event's number",
    "UPDATE bandstand_store.trial SET epochs = epochs + 1 WHERE number = 2": "has other epochs than were measured",
    "UPDATE bandstand_store.trial SET state = 'running' WHERE number = 1": "a trial has not ended",
    "DELETE FROM bandstand_store.event WHERE kind = 'ended' AND trial = 0": "a trial did not end exactly once",
    "UPDATE bandstand_store.attempt SET ended_at = NULL WHERE trial = 1": "an attempt has not ended",
    "DELETE FROM bandstand_store.attempt WHERE trial = 1": "attempts and their beginnings differ",
    "INSERT INTO bandstand_store.lease SELECT id, 'x', 'x' FROM bandstand_store.study": "somebody has a lease",
    "INSERT INTO bandstand_store.checkpoint SELECT id, 1, 1, 1, 'x' FROM bandstand_store.study": "a checkpoint is",
    "UPDATE bandstand_store.study SET wall_seconds = wall_seconds + 1": "time used differs",
    "UPDATE bandstand_store.study SET state = 'running'": "its state is running",
    "UPDATE bandstand_store.study SET test_looks = 2": "the test data were looked at 2 times",
    "UPDATE trials SET state = 'RUNNING' WHERE number = 1": "Optuna has another state of a trial",
    "DELETE FROM trial_values WHERE trial_id = (SELECT min(trial_id) FROM trial_values)": "Optuna has another value",
    "DELETE FROM trial_intermediate_values WHERE step = 1": "Optuna has other values of epochs",
}


@pytest.fixture(scope="module")
def ended(store: Store, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The URL of a database with a study that has ended well, and the folder of its model."""
    url, folder = make_database(store, "audited"), tmp_path_factory.mktemp("checkpoints")
    opened = Store(url)
    spec = make_spec(name="audited", pruner="none", budget={"epochs": EPOCHS}, max_epochs=4)
    with StagedStudy(opened, spec) as study:
        while study.train_one(0.7):
            study.search.spend(wall_seconds=0.5)
        study.search.conclude()
        study.flush()
        model = folder / f"study-{study._writer.study_id}" / "trial-00000" / "model.keras"
        model.parent.mkdir(parents=True)
        model.write_bytes(b"weights")
        study.set(model_uri=str(model), tested_uri=str(model), test_looks=1)
        study.end()
    opened.close()
    return url, folder


def test_a_study_that_ended_well_has_no_fault(ended: tuple[str, Path]) -> None:
    url, folder = ended
    assert audit_study(url, "audited", EPOCHS, folder) == []


@pytest.mark.parametrize("statement", FAULTS)
def test_a_planted_fault_is_found(statement: str, ended: tuple[str, Path]) -> None:
    url, folder = ended
    with psycopg.connect(url, row_factory=dict_row) as connection:
        assert connection.execute(statement.encode()).rowcount >= 1
        found = audit_connection(connection, "audited", EPOCHS, folder)
        connection.rollback()
    assert any(FAULTS[statement] in line for line in found), found


def test_a_file_too_much_and_a_lost_model_are_found(ended: tuple[str, Path]) -> None:
    url, folder = ended
    (model,) = folder.rglob("model.keras")
    left = model.with_name("epoch-0001-attempt-1.checkpoint")
    left.write_bytes(b"x")
    assert "1 files are left" in audit_study(url, "audited", EPOCHS, folder)[0]
    left.unlink()
    model.rename(model.with_suffix(".away"))
    assert "is not there" in audit_study(url, "audited", EPOCHS, folder)[0]
    model.with_suffix(".away").rename(model)


def test_an_epoch_that_nobody_trained_or_too_many_did_is_found(ended: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = ended
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT t.params, m.epoch FROM bandstand_store.trial t JOIN bandstand_store.measurement m "
            "ON m.trial = t.number AND m.study_id = t.study_id ORDER BY t.number, m.epoch"
        ).fetchall()
    lines = [f"{sorted(params.items())!r}\t{epoch}\n" for params, epoch in rows]
    journal = tmp_path / "journal"
    journal.write_text("".join(lines) + "a line that a killed trainer has beg")
    assert check_journal(url, "audited", journal) == []
    journal.write_text("".join(lines[1:]))
    assert len(check_journal(url, "audited", journal)) == 1
    journal.write_text("".join([*lines, lines[3]]))
    assert "were trained 2 times in 1 attempts" in check_journal(url, "audited", journal)[0]


# -- by replay --------------------------------------------------------------------------------------------------------

PAIRS = [("random", "asha"), ("random", "asha-promote"), ("umda", "asha"), ("random", "hyperband"), ("pbt", ""),
         ("lr-restarts", ""), ("bohb", "")]  # fmt: skip


def events_of(sampler: str, pruner: str) -> tuple[StudySpec, list[Event]]:
    """A study on virtual workers, whose workers and coordinators are killed now and then."""
    settings: dict[str, Any] = {
        "name": "mine",
        "model": "train:build",
        "data": "train:load",
        "space": {"rate": {"type": "float", "low": 0.0, "high": 1.0}, "units": {"type": "int", "low": 1, "high": 9}},
        "max_epochs": 9,
    }
    spec = StudySpec.model_validate(settings | settings_for(sampler, pruner))
    cluster = VirtualCluster(spec, workers=3, seed=2, lose_worker=0.05, kill_coordinator=0.02, stop=0.01)
    cluster.run()
    return spec, cluster.stored


@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_the_events_of_a_study_that_was_killed_now_and_then_are_those_of_a_fresh_search(
    sampler: str, pruner: str
) -> None:
    spec, events = events_of(sampler, pruner)
    compared, found = replay_decisions(spec, events)
    assert found == []
    assert compared > 20


def altered(event: Event) -> Event | None:
    """The event with another decision; None where it is none."""
    match event:
        case Proposed() if not event.parent:
            return dataclasses.replace(event, params={**event.params, "rate": 0.75 - event.params["rate"] / 2})
        case Promoted():
            return dataclasses.replace(event, reason="another one")
        case Decided() if event.action is Action.STOP and "rung" in event.reason:
            return dataclasses.replace(event, reason=f"{event.reason}, or not")
    return None


@pytest.mark.parametrize("kind", [Proposed, Promoted, Decided])
def test_a_decision_that_is_not_the_search_s_is_found(kind: type[Event]) -> None:
    spec, events = events_of("random", "asha" if kind is Decided else "asha-promote")
    place = next(place for place, event in enumerate(events) if isinstance(event, kind) and altered(event))
    changed = altered(events[place])
    assert changed is not None
    _, found = replay_decisions(spec, [*events[:place], changed, *events[place + 1 :]])
    assert any(f"event {place + 1} is" in line for line in found)


def test_every_kind_of_study_is_one(tmp_path: Path) -> None:
    for kind in STUDIES:
        spec = StudySpec.model_validate(settings_of(kind, kind, seed=1, epochs=30))
        assert json.dumps(spec.model_dump(mode="json"))


# -- gates ------------------------------------------------------------------------------------------------------------

WRITER = """
import sys, psycopg
with psycopg.connect(sys.argv[1]) as connection:
    connection.execute("UPDATE bandstand_store.study SET state = 'stopped' WHERE name = 'gated'")
"""


@pytest.mark.parametrize(("moment", "state"), [("before", "running"), ("after", "stopped")])
def test_a_writer_is_killed_exactly_before_or_after_its_step_is_stored(moment: str, state: str, store: Store) -> None:
    url = make_database(store, f"gated_{moment}")
    opened = Store(url)
    opened.claim(make_spec(name="gated"), "a test").close()
    opened.close()
    gates.install(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE bandstand_store.study SET state = 'running'")
        with Gate(connection, "study", moment) as gate:
            writer = subprocess.Popen([sys.executable, "-c", WRITER, url])
            try:
                assert gate.wait(60)
            finally:
                writer.kill()
                writer.wait()
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        wait_until("the end of its backend", lambda: connection.execute(others).fetchone() == (0,))
        assert connection.execute("SELECT state FROM bandstand_store.study").fetchone() == (state,)


def test_a_short_storm_finds_nothing(tmp_path: Path) -> None:
    """Real processes, killed: about a minute and a half, and not marked slow, so that every change goes through it."""
    command = [sys.executable, "-m", "tests.faults", "--kills", "6", "--kills-each", "6", "--minutes", "20"]
    options = ["--epochs", "24", "--only", "promote", "--seed", "5", "--folder", "/tmp"]
    done = subprocess.run(
        [*command, *options], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=1500, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert re.search(r" [1-9]\d* studies ended", done.stdout), done.stdout[-3000:]
