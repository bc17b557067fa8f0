"""What a database refuses is told in one line, and as what it is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from bandstand.errors import (
    BandstandError,
    DatabaseRightsError,
    DatabaseUnreachableError,
    DatabaseVersionError,
    InputError,
    LeaseLostError,
)
from bandstand.search.search import Search
from bandstand.store import tables
from bandstand.store.store import Store
from tests.end_to_end.harness.databases import make_database
from tests.service.store.written_study import make_spec

LOGIN = "stranger"
NAMES = (f"refusing-{number}" for number in itertools.count())


@pytest.fixture(scope="module", autouse=True)
def _login(store: Store) -> Iterator[None]:
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"CREATE ROLE {LOGIN} LOGIN PASSWORD 'pl4nted'"))
    yield


@pytest.fixture
def url(store: Store) -> str:
    """Of a new database, for its owner."""
    return make_database(store, next(NAMES))


@pytest.fixture
def said(url: str) -> Iterator[Callable[..., None]]:
    """Has the owner say SQL."""
    opened: list[Store] = []

    def say(*statements: str) -> None:
        opened.append(Store(url))
        with opened[-1].database.connection() as connection, connection.begin():
            for statement in statements:
                connection.execute(sa.text(statement))

    yield say
    for one in opened:
        one.close()


def as_stranger(url: str) -> str:
    return url.replace("postgres@", f"{LOGIN}:pl4nted@")


def one_line(error: BandstandError) -> str:
    text = str(error)
    assert "\n" not in text
    assert "pl4nted" not in text
    assert "psycopg" not in text
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None, "a traceback would show what was wrapped"
    return text


def test_a_login_that_may_not_create_the_schema_is_told_so(url: str) -> None:
    with pytest.raises(DatabaseRightsError, match="permission denied for database") as refused:
        Store(as_stranger(url))
    assert "use-your-own-postgresql" in one_line(refused.value)


def test_a_login_that_may_not_read_is_told_so(url: str, said: Callable[..., None]) -> None:
    said()
    with pytest.raises(DatabaseRightsError, match="permission denied for schema bandstand_store") as refused:
        Store(as_stranger(url))
    one_line(refused.value)
    said(f"GRANT USAGE ON SCHEMA bandstand_store TO {LOGIN}")
    with pytest.raises(DatabaseRightsError, match="permission denied for table"):
        Store(as_stranger(url))


def test_a_login_that_may_only_read_reads_and_is_told_when_it_writes(url: str, said: Callable[..., None]) -> None:
    said(
        f"GRANT USAGE ON SCHEMA bandstand_store TO {LOGIN}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA bandstand_store TO {LOGIN}",
    )
    reader = Store(as_stranger(url))
    assert reader.studies() == []
    with pytest.raises(DatabaseRightsError, match="permission denied for") as refused:
        reader.claim(make_spec(), "somebody")
    one_line(refused.value)
    reader.close()


def test_the_rights_that_the_documentation_lists_suffice(url: str, store: Store, said: Callable[..., None]) -> None:
    name = sa.engine.make_url(url).database
    with sa.create_engine(store.database.engine.url.set(database=name)).begin() as connection:
        connection.execute(sa.text(f'GRANT CREATE ON DATABASE "{name}" TO {LOGIN}'))
        connection.execute(sa.text(f"GRANT CREATE ON SCHEMA public TO {LOGIN}"))
    maker = Store(as_stranger(url))
    maker.claim(make_spec(), "its own").close()
    user = f"{LOGIN}2"
    rights = "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"
    said(
        f"CREATE ROLE {user} LOGIN",
        f"GRANT USAGE ON SCHEMA bandstand_store TO {user}",
        *(f"GRANT {rights} IN SCHEMA {schema} TO {user}" for schema in ("public", "bandstand_store")),
        *(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {user}" for schema in ("public", "bandstand_store")),
    )
    other = Store(url.replace("postgres@", f"{user}@"))
    other.claim(make_spec(), "another's tables").close()
    assert len(other.studies()) == 2
    maker.close()
    other.close()


def test_a_read_only_database_is_read_and_not_written(url: str, said: Callable[..., None]) -> None:
    said(f'ALTER DATABASE "{sa.engine.make_url(url).database}" SET default_transaction_read_only = on')
    reader = Store(url)
    assert reader.studies() == []
    with pytest.raises(DatabaseRightsError, match=r"the database must take writes; .* is read-only") as refused:
        reader.claim(make_spec(), "somebody")
    one_line(refused.value)
    reader.close()


def test_an_empty_read_only_database_gets_no_schema(url: str, store: Store) -> None:
    name = sa.engine.make_url(url).database
    with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    with pytest.raises(DatabaseRightsError, match="is read-only"):
        Store(url)


def test_tables_that_somebody_dropped_are_missed_in_one_line(url: str, said: Callable[..., None]) -> None:
    said("DROP TABLE bandstand_store.measurement CASCADE")
    opened = Store(url)
    with pytest.raises(DatabaseVersionError, match=r"must have all tables of Bandstand; .*measurement") as refused:
        opened.studies()
        opened.record("none")
    one_line(refused.value)
    opened.close()


@pytest.mark.parametrize("port", ["99999", "0", "65536"])
def test_a_port_that_no_server_can_have_is_the_users_mistake(port: str) -> None:
    with pytest.raises(InputError, match=f"between 1 and 65535; got {port}") as refused:
        Store(f"postgresql://ada:pl4nted@localhost:{port}/x")
    one_line(refused.value)


@pytest.mark.parametrize(
    "url", ["postgresql://ada:pl4nted@localhost:many/x", "postgresql://ada:pl4nted@[::1/x", "pl4nted"]
)
def test_what_is_no_url_is_not_quoted(url: str) -> None:
    with pytest.raises(BandstandError) as refused:
        Store(url)
    assert "pl4nted" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_whoever_has_the_url_of_a_stopped_embedded_server_is_told_what_starts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANDSTAND_HOME", str(tmp_path))
    folder = tmp_path / "postgres"  # as in a process of workers, which gets the URL and starts no server
    with pytest.raises(DatabaseUnreachableError) as refused:
        Store(f"postgresql://postgres@/bandstand?host={quote(str(folder), safe='')}")
    assert str(refused.value) == (
        "the embedded database must run; it was stopped (No such file or directory): the same command starts it again"
    )
    with pytest.raises(DatabaseUnreachableError, match=r"does not: .*Start it, or correct BANDSTAND_DATABASE_URL"):
        Store(f"postgresql://postgres@/bandstand?host={quote(str(tmp_path), safe='')}")


def test_a_server_that_takes_no_more_connections_says_so_and_nothing_else(
    url: str, said: Callable[..., None], store: Store
) -> None:
    said(f'ALTER DATABASE "{sa.engine.make_url(url).database}" CONNECTION LIMIT 0', f"ALTER ROLE {LOGIN} SUPERUSER")
    said(f"ALTER ROLE {LOGIN} NOSUPERUSER")
    with pytest.raises(DatabaseUnreachableError, match="does not: too many connections for database") as refused:
        Store(as_stranger(url))
    one_line(refused.value)


def test_who_has_lost_a_study_is_told_so_by_every_later_call(url: str) -> None:
    opened, spec = Store(url), make_spec(name="lost")
    first = opened.claim(spec, "the first")
    with opened.database.connection() as connection, connection.begin():
        connection.execute(sa.update(tables.lease).values(token="another's"))
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_locks "
                "WHERE locktype = 'advisory' AND pid <> pg_backend_pid() "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        )
    search = Search(spec)
    search.begin()
    rows = first.rows_from(search.take_events(), search.history)
    calls = (first.heartbeat, lambda: first.write(rows), lambda: first.set_study(state="failed"), first.study_columns)
    for call in calls:
        with pytest.raises(LeaseLostError, match="another coordinator has taken over the study"):
            call()
    first.close()
    opened.close()


@pytest.mark.parametrize("text", ["a\0b", "\0", "a\ud800b"])
@pytest.mark.parametrize("kind", ["text", "jsonb"])
def test_a_text_that_cannot_be_stored_is_told_as_such(store: Store, text: str, kind: str) -> None:
    sent = json.dumps({"key": text}) if kind == "jsonb" else text
    with pytest.raises(InputError, match="must hold no NUL character and no half of a surrogate pair") as refused:  # noqa: SIM117
        with store.database.connection() as connection:
            connection.execute(sa.text(f"SELECT CAST(:sent AS {kind})"), {"sent": sent}).scalar_one()
    one_line(refused.value)
