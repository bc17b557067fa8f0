"""A study pauses before its checkpoints take more than they may, and goes on when there is room."""

from __future__ import annotations

import pytest

from bandstand.store.store import Store
from tests.end_to_end.harness.project import Project
from tests.end_to_end.harness.stored_files import check_folders_hold_what_is_named, folders_and_names
from tests.end_to_end.harness.stored_study import check_what_is_stored

EPOCHS = 200


@pytest.mark.slow
def test_a_study_pauses_at_the_limit_and_the_same_command_goes_on_when_it_is_raised(
    project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project.write_study(
        name="no-room",
        pruner="asha-promote",
        budget={"epochs": EPOCHS},
        max_epochs=9,
        callbacks=["project:slow_journal"],
    )
    monkeypatch.setenv("BANDSTAND_CHECKPOINTS_GB", "0.00001")
    first = project.command("run", str(file), "--workers", "1")
    assert "(BANDSTAND_CHECKPOINTS_GB): make room with `bandstand clean`" in first.stdout, first.stdout + first.stderr
    assert store.record("no-room").state == "stopped"
    assert 0 < len(store.record("no-room").measurements) < EPOCHS
    check_folders_hold_what_is_named(store, "no-room")
    paused = set(store.record("no-room").trials.query("state == 'paused'")["number"])
    _, named = folders_and_names(store, "no-room")
    assert paused <= {int(uri.split("/trial-")[1][:5]) for uri in named}, "paused trials keep theirs"

    monkeypatch.delenv("BANDSTAND_CHECKPOINTS_GB")
    again = project.command("run", str(file), "--workers", "1")
    assert again.returncode == 0, again.stdout + again.stderr
    check_what_is_stored(store, "no-room", project, EPOCHS)
    check_folders_hold_what_is_named(store, "no-room")
