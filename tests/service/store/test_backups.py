"""A backup is of one moment, is nobody else's to read, and brings a database back whole or not at all."""

from __future__ import annotations

import itertools
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from bandstand.errors import InputError, ServiceError, StudyInUseError
from bandstand.store import connecting
from bandstand.store.accounts import Role
from bandstand.store.backup import programs
from bandstand.store.backup.dumps import dump_database, restore_database
from bandstand.store.backup.files import pack_files, unpack_files
from bandstand.store.store import Store
from tests.end_to_end.harness.databases import make_database
from tests.service.api.staged import StagedStudy, make_spec
from tests.service.commands.in_process import Bandstand

TABLES = ("study", "trial", "event", "measurement", "attempt", "token")
NUMBERS = itertools.count()


@pytest.fixture
def empty(store: Store) -> str:
    """The URL of a database without any table."""
    return make_database(store, f"backups_{next(NUMBERS)}")


@pytest.fixture(scope="module")
def filled(store: Store) -> str:
    """The URL of a database with a study that is half way, and a user."""
    url = make_database(store, "backups_filled")
    opened = Store(url)
    opened.accounts.create_token("ada", Role.ADMIN, days=1)
    with StagedStudy(opened, make_spec(name="half-way")) as study:
        study.train_one(0.7)
        study.train_one(0.9, epochs=1)
    opened.close()
    return url


@pytest.fixture(scope="module")
def dump(filled: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("backups") / "mine.dump"
    dump_database(filled, file)
    return file


def counts(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        rows = [connection.execute(f"SELECT count(*) FROM bandstand_store.{name}".encode()) for name in TABLES]
        return [next(iter(row))[0] for row in rows]


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_a_restored_study_goes_on_from_where_it_was_and_optuna_has_it(filled: str, dump: Path, empty: str) -> None:
    assert restore_database(empty, dump) == connecting.newest_revision()
    assert counts(empty) == counts(filled)
    assert counts(empty)[1] == 2
    opened = Store(empty)
    with StagedStudy(opened, make_spec(name="half-way")) as study:
        assert [len(trial.values) for trial in study.search.history.trials] == [9, 1]
        study.train_one(0.8)
    opened.close()
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (3,)


def test_the_backup_of_a_study_that_runs_is_of_one_moment(empty: str, store: Store, tmp_path: Path) -> None:
    source = make_database(store, f"backups_{next(NUMBERS)}")
    opened = Store(source)
    with StagedStudy(opened, make_spec(name="runs")) as study:
        study.train_one(0.7)
        dump_database(source, tmp_path / "runs.dump")
        before = counts(source)
        study.train_one(0.6)
    opened.close()
    restore_database(empty, tmp_path / "runs.dump")
    assert counts(empty) == before != counts(source)


def test_the_file_is_nobody_elses_to_read_and_is_not_replaced_unasked(filled: str, dump: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(dump.stat().st_mode) == 0o600
    there = tmp_path / "there.dump"
    there.write_text("precious")
    with pytest.raises(InputError, match=r"must not exist; it does: give another name, or --overwrite"):
        dump_database(filled, there)
    assert there.read_text() == "precious"
    dump_database(filled, there, overwrite=True)
    assert there.read_bytes()[:5] == b"PGDMP"
    assert stat.S_IMODE(there.stat().st_mode) == 0o600
    with pytest.raises(InputError, match="the folder of the file must exist"):
        dump_database(filled, tmp_path / "nowhere" / "mine.dump")


def test_a_backup_that_fails_leaves_no_file(filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bandstand.store.backup.dumps.find_program", lambda *_: Path("/bin/false"))
    with pytest.raises(ServiceError, match="false failed"):
        dump_database(filled, tmp_path / "mine.dump")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_restored_where_the_roles_of_its_rights_are_not(empty: str, store: Store, tmp_path: Path) -> None:
    source = make_database(store, f"backups_{next(NUMBERS)}")
    Store(source).close()
    execute(source, "CREATE ROLE backups_guest")
    execute(source, "GRANT SELECT ON bandstand_store.study TO backups_guest")
    dump_database(source, tmp_path / "mine.dump")
    execute(source, "DROP OWNED BY backups_guest")
    execute(source, "DROP ROLE backups_guest")
    assert restore_database(empty, tmp_path / "mine.dump") == connecting.newest_revision()


CONTENTS = {
    "a study": (None, "1 study"),
    "a user": ("bandstand_store.token", "1 token"),
    "somebody else's table": ("CREATE TABLE theirs (x int)", "the table 'theirs'"),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_a_database_with_anything_in_it_is_not_overwritten_unasked(content: str, empty: str, dump: Path) -> None:
    statement, told = CONTENTS[content]
    if statement is None:
        opened = Store(empty)
        with StagedStudy(opened, make_spec()) as study:
            study.train_one(0.7)
        opened.close()
    elif statement.startswith("CREATE"):
        execute(empty, statement)
    else:
        opened = Store(empty)
        opened.accounts.create_token("eve", Role.VIEWER, days=1)
        opened.close()
    with pytest.raises(InputError, match=rf"must be empty to be restored; database 'backups_\d+' at .* has {told}"):
        restore_database(empty, dump)


def test_what_the_backup_does_not_have_is_gone_afterwards(filled: str, dump: Path, empty: str) -> None:
    opened = Store(empty)
    opened.accounts.create_token("mallory", Role.VIEWER, days=1)
    opened.close()
    execute(empty, "CREATE TABLE bandstand_store.of_a_newer_release (study_id bigint REFERENCES bandstand_store.study)")
    restore_database(empty, dump, overwrite=True)
    assert counts(empty) == counts(filled)
    opened = Store(empty)
    assert [one.user_name for one in opened.accounts.list_tokens()] == ["ada"]
    opened.close()
    with connecting.connect(empty).connect() as connection:
        assert not sa.inspect(connection).has_table("of_a_newer_release", schema="bandstand_store")


def test_nothing_is_restored_while_a_study_runs_or_a_server_lives(dump: Path, empty: str) -> None:
    opened = Store(empty)
    with StagedStudy(opened, make_spec()), pytest.raises(StudyInUseError, match="no study may run while"):
        restore_database(empty, dump, overwrite=True)
    execute(empty, "INSERT INTO bandstand_store.server (id, place) VALUES ('a', 'here')")
    with pytest.raises(StudyInUseError, match="no server may run while"):
        restore_database(empty, dump, overwrite=True)
    execute(empty, "UPDATE bandstand_store.server SET heartbeat_at = now() - interval '2 minutes'")
    restore_database(empty, dump, overwrite=True)
    opened.close()


@pytest.mark.parametrize("damage", ["another file", "cut off", "changed", "empty", "missing"])
def test_a_damaged_backup_changes_nothing(damage: str, dump: Path, empty: str, tmp_path: Path) -> None:
    content = dump.read_bytes()
    file = tmp_path / "mine.dump"
    if damage != "missing":
        half = content[: len(content) // 2]
        changed = half[:-2000] + bytes(byte ^ 0xFF for byte in half[-2000:]) + content[len(half) :]
        file.write_bytes({"another file": b"SELECT 1;", "cut off": half, "changed": changed, "empty": b""}[damage])
    opened = Store(empty)
    opened.accounts.create_token("eve", Role.VIEWER, days=1)
    with pytest.raises((InputError, ServiceError)) as refused:
        restore_database(empty, file, overwrite=True)
    assert len(str(refused.value).splitlines()) == 1
    assert [one.user_name for one in opened.accounts.list_tokens()] == ["eve"]
    opened.close()


@pytest.mark.parametrize("password", ["plain", "with a blank", "quo'te", "per%cent@:/?"])
def test_a_password_is_in_no_command_line_and_no_message(password: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    told = tmp_path / "told"
    script = f'{{ echo "$PGPASSWORD"; echo "$PGHOST"; echo "$@"; }} >{told}\necho error: "$PGPASSWORD" >&2\nexit 1\n'
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o700)
    url = connecting.URL.create("postgresql", "ada", password, "db.example", 6543, "mine", {"sslmode": "require"})
    with pytest.raises(ServiceError) as refused:
        programs.run_program([str(program)], url.render_as_string(hide_password=False))
    found, host, arguments = told.read_text().splitlines()
    assert (found, host) == (password, "db.example")
    assert password not in arguments
    assert password not in str(refused.value)
    with pytest.raises(InputError, match="must have no sslpassword"):
        programs.run_program([str(program)], f"{url.render_as_string(hide_password=False)}&sslpassword=x")


def test_a_server_that_is_newer_than_all_programs_is_told_in_one_line() -> None:
    with pytest.raises(InputError, match=r"pg_dump must be of PostgreSQL 99 or newer, as the server is; this machine"):
        programs.find_program("pg_dump", 99)


def test_files_of_studies_come_back_and_unfinished_ones_stay_away(tmp_path: Path) -> None:
    folder, back = tmp_path / "checkpoints", tmp_path / "back"
    (folder / "study-1" / "trial-00000").mkdir(parents=True)
    (folder / "study-1" / "trial-00000" / "model.keras").write_bytes(b"weights")
    (folder / "study-1" / "trial-00000" / "a.7.unfinished").write_bytes(b"half")
    archive = tmp_path / "mine.dump.files.tar"
    assert pack_files(folder, archive) == 1
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert unpack_files(archive, back) == 1
    assert [path.relative_to(back).as_posix() for path in back.rglob("*") if path.is_file()] == [
        "study-1/trial-00000/model.keras"
    ]


@pytest.mark.parametrize("name", ["../outside", "/tmp/bandstand-outside"])
def test_a_tar_file_that_would_write_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    archive, outside = tmp_path / "evil.tar", tmp_path / "outside"
    with tarfile.open(archive, "w") as made:
        made.addfile(tarfile.TarInfo(name))
    if name.startswith("/"):  # Python's filter takes the leading slash away
        assert unpack_files(archive, tmp_path / "inside") == 1
        assert not Path(name).exists()
    else:
        with pytest.raises(InputError, match="cannot be unpacked"):
            unpack_files(archive, tmp_path / "inside")
    assert not outside.exists()


@pytest.fixture
def _of_filled(filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", filled)
    monkeypatch.setenv("BANDSTAND_CHECKPOINTS", str(tmp_path / "checkpoints"))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "one.checkpoint").write_bytes(b"x")
    yield


@pytest.mark.usefixtures("_of_filled")
def test_the_commands_say_what_is_not_in_a_backup(
    bandstand: Bandstand, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.dump"
    said = bandstand("db", "backup", str(file))
    assert (said.code, said.err) == (0, "")
    assert "are not in it (1 files, 0 MB): copy them now, or give --files" in said.out
    assert bandstand("db", "backup", str(file)).code == 2
    said = bandstand("db", "backup", str(file), "--files", "--overwrite")
    assert f"1 checkpoints and models are in {file}.files.tar" in said.out
    said = bandstand("db", "restore", str(file))
    assert said.code == 2
    assert "must be empty to be restored" in said.err
    monkeypatch.setenv("BANDSTAND_DATABASE_URL", empty)
    monkeypatch.setenv("BANDSTAND_CHECKPOINTS", str(tmp_path / "elsewhere"))
    said = bandstand("db", "restore", str(file), "--files")
    assert (said.code, said.err) == (0, "")
    assert (tmp_path / "elsewhere" / "one.checkpoint").read_bytes() == b"x"
    monkeypatch.setenv("BANDSTAND_CHECKPOINTS", "s3://bucket/folder")
    said = bandstand("db", "backup", str(tmp_path / "other.dump"), "--files")
    assert said.code == 2
    assert "--files copies a local folder" in said.err
    assert not (tmp_path / "other.dump").exists()
    assert os.environ["BANDSTAND_DATABASE_URL"] == empty


def test_a_device_or_a_folder_is_never_replaced_by_a_backup(filled: str, tmp_path: Path) -> None:
    device = tmp_path / "device"
    os.mkfifo(device)  # no regular file either, and every user may make one
    for target in (device, tmp_path):
        with pytest.raises(InputError, match="must be a regular file"):
            dump_database(filled, target, overwrite=True)
    assert stat.S_ISFIFO(device.stat().st_mode)


def test_a_dump_of_something_else_is_refused_before_anything_goes(store: Store, filled: str, tmp_path: Path) -> None:
    other = make_database(store, f"backups_{next(NUMBERS)}")
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute("CREATE TABLE shop (id int)")
    before = counts(filled)
    file = tmp_path / "shop.dump"
    dump_database(other, file)
    with pytest.raises(InputError, match="must hold Bandstand's tables"):
        restore_database(filled, file, overwrite=True)
    assert counts(filled) == before
