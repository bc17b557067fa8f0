"""What cannot be done is answered in one line, with the exit code of its cause, and nothing is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bandstand.errors import DatabaseUnreachableError, StudyInUseError
from bandstand.store import tables
from bandstand.store.store import Store
from tests.end_to_end.harness.databases import make_database
from tests.end_to_end.harness.project import SETTINGS, Project, refused


def changed(part: str, **settings: Any) -> dict[str, Any]:
    return {part: {**SETTINGS[part], **settings}}


@pytest.mark.parametrize(
    ("changes", "rule", "value", "way_out"),
    [
        ({"sampler": "tp"}, "sampler must be one of grid, random, ", "'tp'", ""),
        ({"pruner": "halving"}, "pruner must be one of none, median, ", "'halving'", ""),
        (
            changed("space", rate={"type": "float", "low": 1.0, "high": 0.1}),
            "low must be < high",
            "low=1.0, high=0.1",
            "",
        ),
        ({"max_epochs": 0}, "max_epochs must be greater than or equal to 1", "0", ""),
        ({"max_epoch": 9}, "no setting max_epoch", "", "did you mean max_epochs?"),
        ({"batch_size": "batch"}, "batch_size must be", "'batch'", ""),
        ({"budget": {}}, "budget must limit", "none", "[budget] epochs = 200"),
        ({"pruner_options": {"eta": 3}}, "options of pruner asha may be", "'eta'", ""),
    ],
)
def test_a_study_that_breaks_a_rule_is_refused_with_rule_value_and_way_out(
    changes: dict[str, Any], rule: str, value: str, way_out: str, project: Project, store: Store
) -> None:
    name = "refused"
    line = refused(project, "run", str(project.write_study(name=name, **changes)))
    assert rule in line
    assert value in line
    assert way_out in line
    assert name not in {study.name for study in store.studies()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model": "nowhere:build"}, "model must be importable; 'nowhere:build' is not, because there is no module"),
        ({"model": "project:builds"}, "'builds' is not in project: it has load, build"),
        ({"data": "project:load_mismatched"}, "gave x 600, y 593"),
        (
            {"objective": {"metric": "val_f1"}},
            "objective.metric must be one that an epoch reports (accuracy, learning_rate, loss",
        ),
    ],
)
def test_code_and_data_are_checked_before_anything_is_written(
    changes: dict[str, Any], says: str, project: Project, store: Store
) -> None:
    line = refused(project, "run", str(project.write_study(name="refused-code", **changes)), "--workers", "1")
    assert says in line
    assert "refused-code" not in {study.name for study in store.studies()}
    assert "refused-code" not in optuna_studies(store)


def optuna_studies(store: Store) -> list[str]:
    with store.database.engine.connect() as connection:
        if not sa.inspect(connection).has_table("studies"):
            return []
        return [row.study_name for row in connection.execute(sa.text("SELECT study_name FROM studies"))]


def test_files_that_are_not_there_or_not_toml_are_refused(project: Project) -> None:
    assert "'nothing.toml' does not: check the path" in refused(project, "run", "nothing.toml")
    (project.folder / "broken.toml").write_text("name = ")
    assert "'broken.toml' is not: Invalid value" in refused(project, "run", "broken.toml")
    (project.folder / "raises.py").write_text("1 / 0")
    assert "raises.py raised ZeroDivisionError: division by zero" in refused(project, "run", "raises.py:study")
    assert "got 'unknown'" in refused(project, "run", "unknown")


def test_commands_about_a_study_that_is_not_there_say_so(project: Project) -> None:
    for command in (
        ("show",),
        ("best",),
        ("stop",),
        ("report", "-o", "x.html"),
        ("figure", "history", "-o", "x.html"),
        ("export", "-o", "x.csv"),
    ):
        assert "there is no study 'ghost'" in refused(project, command[0], "ghost", *command[1:])
    assert not (project.folder / "x.html").exists()


def test_resume_refuses_a_name_that_is_not_stored(project: Project) -> None:
    assert "there is no study 'ghost'" in refused(project, "run", "ghost", "--resume")
    file = project.write_study(name="never-run")
    assert "there is no study 'never-run'" in refused(project, "run", str(file), "--resume")


def test_an_unreachable_database_is_named_without_its_password(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", "postgresql://someone:s3cret@127.0.0.1:9/things")
    line = refused(project, "list", cause=DatabaseUnreachableError)
    assert "database 'things' at 127.0.0.1:9 does not" in line
    assert "BANDSTAND_DATABASE_URL" in line
    assert "s3cret" not in line


def test_other_databases_are_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", "sqlite:///x.db")
    assert "must name a PostgreSQL" in refused(project, "list")


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        ("0000", "it is at 0000: run `bandstand db upgrade`"),
        ("9999", "it is at 9999, from a newer Bandstand: upgrade this Bandstand"),
    ],
)
def test_a_database_of_another_version_is_refused(
    revision: str, says: str, project: Project, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_database(store, f"revision_{revision}")
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", url)
    assert project.command("list").returncode == 0
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {tables.SCHEMA}.alembic_version SET version_num = '{revision}'"))
    engine.dispose()
    assert says in refused(project, "list")


def test_a_remote_cluster_without_a_database_url_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray-head:6379")
    line = refused(project, "run", str(project.write_study(name="remote")))
    assert "RAY_ADDRESS is set and BANDSTAND_DATABASE_URL is not" in line


@pytest.mark.slow
def test_workers_that_a_machine_never_has_room_for_are_refused(project: Project, store: Store) -> None:
    file = project.write_study(name="room", resources={"memory_gb": 50_000})
    line = refused(project, "run", str(file), "--workers", "2")
    assert "each worker needs 50000 GB of memory, and Ray has" in line
    assert "room" not in {study.name for study in store.studies()}


@pytest.mark.slow
def test_a_gpu_that_is_not_there_is_refused(project: Project, store: Store) -> None:
    line = refused(project, "run", str(project.write_study(name="gpu", resources={"gpus": 1})))
    assert "this study needs 1 GPU per trainer, and this machine has none: set resources.gpus = 0" in line
    assert "gpu" not in {study.name for study in store.studies()}


@pytest.mark.slow
def test_a_name_used_by_another_spec_or_by_optuna_itself_is_refused(project: Project, store: Store) -> None:
    import optuna

    first = project.write_study(name="taken", budget={"epochs": 2}, pruner="none", max_epochs=1)
    assert project.command("run", str(first), "--workers", "1").returncode == 0
    again = project.write_study(name="taken", budget={"epochs": 2}, pruner="none", max_epochs=1, seed=99)
    line = refused(project, "run", str(again))
    assert "'taken' exists with other settings (seed: 99 here, 3 stored): give this one a new name" in line

    url = store.database.url.replace("postgresql://", "postgresql+psycopg://")
    optuna.create_study(study_name="theirs", storage=url)
    line = refused(project, "run", str(project.write_study(name="theirs")), "--workers", "1")
    assert "an Optuna study 'theirs' that Bandstand did not make" in line
    assert "theirs" not in {study.name for study in store.studies()}


@pytest.mark.slow
def test_a_study_that_is_open_elsewhere_is_refused_with_who_has_it(project: Project, store: Store) -> None:
    from bandstand.study.study_spec import StudySpec

    file = project.write_study(name="held", budget={"epochs": 4})
    spec = StudySpec.model_validate(project.settings(name="held", budget={"epochs": 4}))
    writer = store.claim(spec, "ada@engine, process 4711")
    try:
        line = refused(project, "run", str(file), "--workers", "1", cause=StudyInUseError)
    finally:
        writer.close()
    assert "ada@engine, process 4711 runs this one since" in line


def test_help_answers_without_importing_what_takes_long(project: Project) -> None:
    script = (
        "import sys\nsys.argv = ['bandstand', '--help']\nfrom bandstand.commands.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'keras', 'ray', 'optuna', 'pandas', 'plotly', 'sqlalchemy', 'numpy', 'pydantic'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
