"""Logins of jobs, on a PostgreSQL that asks for passwords and whose owner is no superuser."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from bandstand.errors import DatabaseUnreachableError, StudyDeletedError
from bandstand.search.search import Search
from bandstand.store import connecting, tables
from bandstand.store.backup.dumps import dump_database, restore_database
from bandstand.store.job_logins import rights
from bandstand.store.job_logins.job_logins import JobLogins, NoLoginError
from bandstand.store.job_logins.lock_holders import LockHolders
from bandstand.store.job_logins.taking_up import take_up_login
from bandstand.store.optuna_mirror import OptunaMirror
from bandstand.store.rows.study_rows import delete_row
from bandstand.store.store import Store
from bandstand.submissions import ServerQueue, SubmissionQueue
from bandstand.submissions.job_instructions import begin_job, must_stop, refuse_job
from tests.end_to_end.harness.databases import make_database
from tests.postgres_server import PASSWORD, SUPERUSER_PASSWORD, PasswordServer, debian_programs
from tests.service.store.jobs_with_logins import as_job, begin_run, team_with_logins
from tests.service.store.written_study import flush, make_spec, train, train_one
from tests.waiting import wait_until

SPLITS = {"train": [{"name": "x", "type": "<f4", "shape": [3, 1], "digest": "a", "sketch": [0.5], "tolerance": 1e-5}]}


@pytest.fixture(scope="module")
def server(password_server: PasswordServer) -> PasswordServer:
    return password_server


@pytest.fixture(scope="module")
def team(server: PasswordServer) -> Iterator[Store]:
    with team_with_logins(server, "logins") as opened:
        yield opened


@pytest.fixture
def logins(team: Store) -> JobLogins:
    return JobLogins(team.database)


def roles(team: Store) -> set[str]:
    with team.database.connection() as connection:
        return set(connection.execute(sa.text("SELECT rolname FROM pg_roles")).scalars())


def test_a_job_writes_all_studies_of_its_submission_and_sees_no_other(team, logins) -> None:
    """As a comparison has several; two jobs at once, each of which is the other's stranger."""
    mine, strange = [make_spec(), make_spec()], make_spec()
    run, other = begin_run(team, *mine), begin_run(team, strange)
    with as_job(logins, run) as job, as_job(logins, other) as stranger:
        assert [spec.name for spec in begin_job(job, run).specs] == [spec.name for spec in mine]
        for place, spec in ((job, mine[0]), (job, mine[1]), (stranger, strange)):
            writer = place.claim(spec, "a job")
            search = Search.restore(writer.spec, writer.events())
            writer.catch_up_mirror(search.history)
            search.begin()
            for _ in range(2):
                train_one(search)
                flush(search, writer)
            assert writer.heartbeat().stop is False
            writer.forget_checkpoints(0)
            writer.set_study(state="finished")
            writer.close()
            assert len(team.record(spec.name).measurements) == len(place.record(spec.name).measurements) > 0
        assert {study.name for study in job.studies()} == {spec.name for spec in mine}
        assert {study.name for study in stranger.studies()} == {strange.name}
        assert must_stop(job, run) is False
        refuse_job(job, run, "a reason")
        refuse_job(job, other, "a lie")
    states = {each.id: each.state for name in (mine[0].name, strange.name) for each in SubmissionQueue(team).runs(name)}
    assert states == {run: "refused", other: "starting"}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM bandstand_store.token",
        "SELECT * FROM bandstand_store.secret",
        "SELECT * FROM bandstand_store.code",
        "SELECT * FROM bandstand_store.run_log",
        "UPDATE bandstand_store.study SET spec = '{}'",
        "DELETE FROM bandstand_store.event",
        "DELETE FROM trials",
        "UPDATE studies SET study_name = 'another'",
        "SET ROLE logins_owner",
        "SET row_security = off; SELECT * FROM bandstand_store.study",
        "CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
def test_a_job_is_refused_what_is_not_its_own(team, logins, statement) -> None:
    with (
        as_job(logins, begin_run(team, make_spec())) as job,
        job.database.connection() as connection,
        pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|row-level security"),
    ):
        connection.execute(sa.text(statement.replace(":", r"\:")))


def test_no_table_is_without_rules_on_rows_but_those_that_hold_versions(team) -> None:
    """A table that a later version of Bandstand or Optuna brings along fails here."""
    with team.database.connection() as connection:
        without = connection.execute(
            sa.text(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND NOT relrowsecurity "
                "AND relnamespace IN (to_regnamespace('public'), to_regnamespace('bandstand_store'))"
            )
        )
        assert sorted(without.scalars()) == ["alembic_version", "alembic_version", "version_info"]


def test_a_first_password_is_good_once_and_the_same_on_all_servers(team, logins) -> None:
    run = begin_run(team, make_spec())
    first = logins.create(run)
    assert JobLogins(team.database).create(run) == first
    assert PASSWORD not in first
    second = take_up_login(first)
    with pytest.raises(DatabaseUnreachableError, match="login that the server made"):
        take_up_login(first)
    psycopg.connect(second).close()
    assert logins.create(run) == first, "a server that submits the job again leaves the login as it is"
    psycopg.connect(second).close()


def test_a_job_reaches_the_database_by_its_own_machines_address(team, logins, server) -> None:
    run = begin_run(team, make_spec())
    login = logins.create(run).replace("127.0.0.1", "nowhere.invalid")
    nodes = f"postgresql://postgres:{SUPERUSER_PASSWORD}@127.0.0.1:{server.port}/logins?connect_timeout=7&password=x"
    url = take_up_login(login, nodes)
    assert SUPERUSER_PASSWORD not in url
    assert "password=x" not in url
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT session_user").fetchone() == (run,)


def test_a_login_that_is_dropped_ends_its_connections_and_lets_nobody_in(team, logins) -> None:
    run = begin_run(team, make_spec())
    url = take_up_login(logins.create(run))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE mine (x int)")
        logins.drop(run)
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT 1 FROM bandstand_store.study")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    logins.drop(run)  # again is no error
    assert run not in roles(team)


def test_a_sweep_drops_what_has_ended_and_leaves_what_runs(team, logins) -> None:
    going, over, unknown = begin_run(team, make_spec()), begin_run(team, make_spec()), "bandstand-9999-1-" + "a" * 12
    for run in (going, over, unknown):
        logins.create(run)
    ServerQueue(team, "a test").end_run(over, "succeeded")
    assert {over, unknown} <= set(logins.sweep())
    assert going in roles(team)
    assert not {over, unknown} & roles(team)


@pytest.mark.parametrize("database", ["postgres", "template1", "next"])
def test_a_login_is_dropped_though_its_job_left_something_in_another_database(team, logins, server, database) -> None:
    """Every role may enter these, and make large objects there."""
    if database == "next":
        with psycopg.connect(server.superuser_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE next{secrets.token_hex(3)} OWNER logins_owner")
            database = connection.execute("SELECT max(datname) FROM pg_database WHERE datname ~ '^next'").fetchone()[0]
    run = begin_run(team, make_spec())
    url = sa.make_url(take_up_login(logins.create(run))).set(database=database)
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        connection.execute("SELECT lo_create(0)")
    logins.drop(run)
    assert run not in roles(team)
    with psycopg.connect(server.url("postgres", SUPERUSER_PASSWORD, database)) as connection:
        assert connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone() == (0,)


def test_a_study_is_deleted_though_its_job_has_a_login_and_the_job_is_told(team, logins) -> None:
    spec = make_spec()
    run = begin_run(team, spec)
    with as_job(logins, run) as job:
        with team.database.connection() as connection, connection.begin():
            delete_row(connection, spec.name)
        team.delete_optuna_studies([spec.name])
        assert job.studies() == []
        with pytest.raises(StudyDeletedError, match="was deleted: submit it again"):
            job.claim(spec, "a job")
    logins.drop(run)


def test_an_optuna_study_that_somebody_deleted_is_made_again_by_the_job(team, logins) -> None:
    spec = make_spec()
    run = begin_run(team, spec)
    with as_job(logins, run) as job:
        team.delete_optuna_studies([spec.name])
        train(job, spec, 2)
    with psycopg.connect(team.database.url) as connection:
        query = "SELECT count(*) FROM trials JOIN studies USING (study_id) WHERE study_name = %s"
        assert connection.execute(query, [spec.name]).fetchone() == (0,)  # `train` mirrors nothing
        assert connection.execute("SELECT count(*) FROM studies WHERE study_name = %s", [spec.name]).fetchone() == (1,)


def test_a_job_learns_of_a_study_that_its_own_replays_only_what_its_data_were(team, logins) -> None:
    original = make_spec()
    with closing(team.claim(original, "a test")) as writer:
        search = Search.restore(writer.spec, writer.events())
        search.begin()
        search.data.see(SPLITS)  # type: ignore[arg-type]  # a TypedDict, written as JSON
        flush(search, writer, mirror=False)
    options = {"study": original.name, "trial": 0, "schedule": {}}
    replay, other = make_spec(), make_spec()
    runs = [begin_run(team, replay), begin_run(team, other)]
    with team.database.connection() as connection, connection.begin():
        spec = {**replay.model_dump(mode="json"), "sampler": "replay", "sampler_options": options}
        connection.execute(sa.update(tables.study).where(tables.study.c.name == replay.name).values(spec=spec))
    with as_job(logins, runs[0]) as job, as_job(logins, runs[1]) as stranger:
        assert job.replayed_data(replay.name) == team.replayed_data(replay.name) == SPLITS
        assert stranger.replayed_data(replay.name) is None
        with job.database.connection() as connection:
            seen = connection.execute(sa.select(tables.study.c.name)).scalars().all()
            assert seen == [replay.name]
            assert connection.execute(sa.select(tables.event.c.kind)).all() == []


def test_a_reader_with_grants_of_its_own_sees_what_it_did(team, server) -> None:
    """Somebody's dashboard, say: rules on rows are for jobs alone."""
    spec = make_spec()
    train(team, spec, 1)
    with psycopg.connect(team.database.url, autocommit=True) as owner:
        owner.execute("CREATE ROLE reader LOGIN PASSWORD 'r'")
        owner.execute("GRANT USAGE ON SCHEMA bandstand_store TO reader")
        owner.execute("GRANT SELECT ON bandstand_store.study, bandstand_store.event, studies, trials TO reader")
        counts = "SELECT (SELECT count(*) FROM bandstand_store.study), (SELECT count(*) FROM studies)"
        with psycopg.connect(server.url("reader", "r", "logins")) as reader:
            seen = reader.execute(counts).fetchone()
        assert seen == owner.execute(counts).fetchone()
    assert seen[0] > 0


def test_an_upgrade_of_optunas_tables_leaves_them_kept_apart(team, logins) -> None:
    with team.database.engine.begin() as connection:
        rights.drop_optuna_policies(connection)
    run = begin_run(team, make_spec())
    with as_job(logins, run) as job, psycopg.connect(job.database.url) as connection:
        assert connection.execute("SELECT count(*) FROM studies").fetchone() == (0,), "meanwhile nothing is seen"
    OptunaMirror.upgrade(team.database.url)
    with team.database.engine.begin() as connection:
        rights.restore_optuna_policies(connection)
    with as_job(logins, begin_run(team, make_spec())) as job, psycopg.connect(job.database.url) as connection:
        assert connection.execute("SELECT count(*) FROM studies").fetchone() == (1,)


def test_a_backup_is_restored_on_a_server_that_has_no_roles_of_jobs(team, store, tmp_path) -> None:
    spec = make_spec()
    train(team, spec, 1)
    file = tmp_path / "backup.dump"
    dump_database(team.database.url, file)
    url = make_database(store, "without_roles")
    restore_database(url, file)
    with closing(Store(url)) as restored:
        assert len(restored.record(spec.name).trials) == len(team.record(spec.name).trials) == 1


def test_a_silent_jobs_connection_is_ended_by_the_server(team, logins) -> None:
    spec = make_spec()
    run = begin_run(team, spec)
    with as_job(logins, run) as job:
        writer = job.claim(spec, "a job")
        queue = ServerQueue(team, "a test")
        queue.end_run(run, "lost")
        with team.database.connection() as connection, connection.begin():
            old = sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, 0, 1)
            connection.execute(
                sa.update(tables.lease).where(tables.lease.c.study_id == writer.study_id).values(heartbeat_at=old)
            )
        assert queue.free_vanished(60.0) == [spec.name]


# -- where it cannot be had --------------------------------------------------------------------------------------------


@pytest.fixture
def database(server: PasswordServer) -> str:
    return f"db_{secrets.token_hex(3)}"


def test_a_server_whose_role_may_make_no_roles_says_so_with_the_way_out(server, database) -> None:
    with closing(Store(server.make_database(database, attributes=""))) as opened:
        with pytest.raises(NoLoginError, match=f"ALTER ROLE {database}_owner CREATEROLE") as error:
            JobLogins(opened.database).prepare()
        with psycopg.connect(server.superuser_url, autocommit=True) as connection:
            connection.execute(str(error.value).partition("by: ")[2].encode())
        JobLogins(opened.database).prepare()


def test_a_database_that_asks_for_no_password_is_none_to_have_logins_in(store) -> None:
    with pytest.raises(NoLoginError, match="without a password, as the embedded one does"):
        JobLogins(store.database).prepare()


def test_a_database_that_lets_only_known_roles_in_is_found_out(server, database) -> None:
    with closing(Store(server.make_database(database))) as opened:
        rules = server.folder / "data" / "pg_hba.conf"
        before = rules.read_text()
        rules.write_text(
            f"host {database} {database}_owner all scram-sha-256\nhost {database} all all reject\n{before}"
        )
        try:
            with psycopg.connect(server.superuser_url, autocommit=True) as connection:
                connection.execute("SELECT pg_reload_conf()")
            with pytest.raises(NoLoginError, match=r"is refused .*pg_hba.conf"):
                JobLogins(opened.database).prepare()
        finally:
            rules.write_text(before)
            with psycopg.connect(server.superuser_url, autocommit=True) as connection:
                connection.execute("SELECT pg_reload_conf()")
        assert not [role for role in roles(opened) if role.startswith("bandstand-0-0-")]


def test_tables_of_optuna_that_belong_to_somebody_else_are_named(server, database) -> None:
    with closing(Store(server.make_database(database))) as opened:
        connecting.migrate(opened.database.engine)
        OptunaMirror.upgrade(opened.database.url)
        with psycopg.connect(server.url("postgres", SUPERUSER_PASSWORD, database), autocommit=True) as connection:
            connection.execute("ALTER TABLE trial_params OWNER TO postgres")
        with pytest.raises(NoLoginError, match="must be owner of table trial_params"):
            JobLogins(opened.database).prepare()


@pytest.mark.slow
def test_logins_work_on_debians_server_where_everybody_could_make_functions(tmp_path: Path) -> None:
    programs = debian_programs()
    if programs is None:
        pytest.skip("needs Debian's postgresql")
    with closing(_Ending(PasswordServer(programs))) as ending:
        server = ending.server
        with closing(Store(server.make_database("old"))) as opened:
            logins, spec = JobLogins(opened.database), make_spec()
            with psycopg.connect(server.url("postgres", SUPERUSER_PASSWORD, "old"), autocommit=True) as connection:
                connection.execute("GRANT CREATE ON SCHEMA public TO PUBLIC; ALTER SCHEMA public OWNER TO postgres")
                connection.execute("GRANT ALL ON SCHEMA public TO old_owner")
                with pytest.raises(NoLoginError, match="REVOKE CREATE ON SCHEMA public FROM PUBLIC"):
                    logins.prepare()
                connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            logins.prepare()
            run = begin_run(opened, spec)
            with as_job(logins, run) as job:
                train(job, spec, 2)
                with job.database.connection() as holder, ThreadPoolExecutor() as others:
                    holder.execute(sa.text("LOCK TABLE bandstand_store.trial"))
                    waiting = others.submit(opened.record, spec.name)
                    holders = LockHolders(0.0)
                    with opened.database.reading() as looking:
                        looking.detach()
                        wait_until("the job's session is ended", lambda: holders.look(looking))
                    waiting.result()
                    holder.invalidate()
            logins.drop(run)
            assert run not in roles(opened)


class _Ending:
    def __init__(self, server: PasswordServer):
        self.server = server

    def close(self) -> None:
        self.server.end()
