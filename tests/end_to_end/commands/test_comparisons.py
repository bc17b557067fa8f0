"""`bandstand compare` as its users meet it: run, extended, reused, killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from typing import Any

import optuna
import pytest
from optuna_dashboard import get_note

from bandstand.store.optuna_mirror import open_storage
from bandstand.store.store import Store
from tests.end_to_end.harness.project import Project
from tests.waiting import wait_until

EPOCHS = 8


@pytest.fixture(scope="module")
def compared(home: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Any]:
    """A comparison of the default with the baselines, one repeat."""
    project = Project(tmp_path_factory.mktemp("compare"))
    project.write_study(name="small", budget={"epochs": EPOCHS})
    return project, project.command("compare", "small.toml", "--repeats", "1", "--workers", "2", "-o", "small.html")


def created(store: Store, prefix: str) -> dict[str, Any]:
    return {study.name: study.created_at for study in store.studies() if study.name.startswith(prefix)}


def test_every_arm_is_an_ordinary_study_with_exactly_the_same_budget(
    compared: tuple[Project, Any], store: Store
) -> None:
    project, done = compared
    assert done.returncode == 0, done.stdout + done.stderr
    names = [f"small-comparison/{arm}/1" for arm in ("random+asha", "random", "grid")]
    assert set(created(store, "small-comparison/")) == set(names)
    for name in names:
        record = store.record(name)
        assert record.state == "finished"
        assert len(record.measurements) == EPOCHS
        assert record.test_metrics is not None
    assert len({store.record(name).environment["data"] for name in names}) == 1
    assert "1/3  small-comparison/" in done.stdout
    assert "random+asha" in done.stdout
    assert "no difference can be shown" in done.stdout
    assert (project.folder / "small.html").read_text().startswith("<!DOCTYPE html>")


def test_reviewers_in_optuna_dashboard_see_the_answer_in_each_study(
    compared: tuple[Project, Any], store: Store
) -> None:
    storage = open_storage(store.database.url)
    for arm in ("random+asha", "random", "grid"):
        note = get_note(optuna.load_study(study_name=f"small-comparison/{arm}/1", storage=storage))
        assert "repeat 1, of the comparison small-comparison." in note
        assert "has the best average" in note


def test_it_is_extended_by_repeats_and_arms_and_nothing_is_run_again(
    compared: tuple[Project, Any], store: Store
) -> None:
    project, _ = compared
    before = created(store, "small-comparison/")
    done = project.command("compare", "small.toml", "--strategies", "qmc", "--repeats", "2", "--workers", "2", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert [arm["label"] for arm in found["arms"]] == ["random+asha", "random", "grid", "qmc"]
    assert [arm["runs"] for arm in found["arms"]] == [2, 2, 2, 2]
    after = created(store, "small-comparison/")
    assert before.items() <= after.items()
    assert len(after) == 8
    again = project.command("compare", "small-comparison", "--json")
    assert json.loads(again.stdout) == found
    assert created(store, "small-comparison/") == after


def test_finished_studies_of_the_same_settings_are_offered_and_taken(
    compared: tuple[Project, Any], store: Store
) -> None:
    project, _ = compared
    done = project.command(
        "compare", "small.toml", "--as", "second", "--repeats", "1", "--workers", "2", "--reuse", "--json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert created(store, "second/") == {}
    arms = {arm["label"]: arm for arm in json.loads(done.stdout)["arms"]}
    assert arms["random"]["studies"][0]["study"] == "small-comparison/random/1"
    offered = project.command("compare", "small.toml", "--as", "third", "--repeats", "1", "--strategies", "random")
    assert "2 of 2 studies ran before with the same settings" in offered.stdout
    assert "--reuse uses them" in offered.stdout


def test_a_comparison_is_one_line_of_the_list(compared: tuple[Project, Any], store: Store) -> None:
    project, _ = compared
    listed = project.command("list").stdout
    number = len(created(store, "small-comparison/"))
    assert re.search(rf"small-comparison +comparison, {number}/{number} ", listed)
    assert "small-comparison/random/1" not in listed
    assert "small-comparison/random/1" in project.command("list", "--all").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategies", "tpe+ahsa"], "the pruner of a strategy must be one of"),
        (["--budget", "many"], "a budget must look like one of these"),
        (["--as", "small-comparison", "--budget", "9epochs"], "exists with other settings (budget:"),
        (["--seed", "9", "--as", "small-comparison"], "seed: 9 here, 3 stored"),
        (["-o", "nowhere/small.html"], "the report's folder must exist"),
        (["-o", "small.pdf"], "the report's file must end in one of html, md, json"),
        (["--strategies", "lr-restarts"], "must name the learning rate"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line_and_nothing_is_kept(
    compared: tuple[Project, Any], store: Store, arguments: list[str], message: str
) -> None:
    project, _ = compared
    before = [store.plans.get(name) for name in store.plans.names()]
    done = project.command("compare", "small.toml", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [store.plans.get(name) for name in store.plans.names()] == before


@pytest.mark.slow
def test_a_killed_comparison_goes_on_and_every_study_counts_once(project: Project, store: Store) -> None:
    file = project.write_study(name="killed", budget={"epochs": 12}, callbacks=["project:journal"])
    arguments = ("compare", str(file), "--strategies", "tpe+asha", "--repeats", "2", "--workers", "2")
    for goal in (2, 4):
        kill_after(project.start(*arguments), store, goal)
    done = project.command(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(studies_of(store)) == 6
    for study in studies_of(store):
        assert (study.state, study.epochs) == ("finished", 12)
        assert len(store.record(study.name).measurements) == 12


def kill_after(running: subprocess.Popen[str], store: Store, goal: int) -> None:
    """Kill the comparison with all its processes once so many of its studies are finished."""

    def reached() -> bool:
        return sum(study.state == "finished" for study in studies_of(store)) >= goal or running.poll() is not None

    wait_until(f"{goal} finished studies", reached, seconds=240)
    assert running.poll() is None, running.communicate()[0]
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()


def studies_of(store: Store) -> list[Any]:
    return [study for study in store.studies() if study.name.startswith("killed-comparison/")]
