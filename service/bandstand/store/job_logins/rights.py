"""What the login of a job may do: its grants, and which rows of Optuna's tables are its own.

Our own tables have their rules on rows from a migration; Optuna's are made by Optuna, whenever it first opens the
database. Knows tables, columns and SQL. Must not know when a login is made.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bandstand.store.tables import SCHEMA, study

__all__ = ["drop_optuna_policies", "grant_all", "optuna_schema", "restore_optuna_policies", "separate_optuna_rows"]

_FIXED = ("id", "name", "optuna_study_id", "spec", "created_at")
"""Columns of a study that its job reads only."""
_GRANTS = {
    "alembic_version": "SELECT",
    "study": f"SELECT, UPDATE ({', '.join(column.name for column in study.columns if column.name not in _FIXED)})",
    "lease": "SELECT, INSERT, UPDATE, DELETE",
    "trial": "SELECT, INSERT, UPDATE",
    "attempt": "SELECT, INSERT, UPDATE",
    "checkpoint": "SELECT, INSERT, UPDATE, DELETE",
    "measurement": "SELECT, INSERT",
    "event": "SELECT, INSERT",
    "request": "SELECT, UPDATE (taken_at, answer)",
    "run": "SELECT, UPDATE (state, message, started_at, ended_at)",
    "submission": "SELECT",
    "submission_study": "SELECT",
    "comparison": "SELECT",
    "comparison_study": "SELECT",
}
"""Of our tables. No login of a job gets at code, logs, servers, tokens and keys at all."""
_OPTUNA_STUDIES = "study_id = ANY ((SELECT {ours}.job_optuna_studies())::int[])"
_OPTUNA_TRIALS = (
    f"EXISTS (SELECT FROM {{theirs}}.trials own WHERE own.trial_id = {{table}}.trial_id AND own.{_OPTUNA_STUDIES})"
)
_OPTUNA_ROWS = {
    "studies": "study_name = ANY ((SELECT {ours}.job_study_names())::text[])",
    **dict.fromkeys(
        ("trials", "study_directions", "study_user_attributes", "study_system_attributes"), _OPTUNA_STUDIES
    ),
    **dict.fromkeys(
        ("trial_params", "trial_values", "trial_intermediate_values", "trial_user_attributes",
         "trial_system_attributes", "trial_heartbeats"), _OPTUNA_TRIALS,
    ),
}  # fmt: skip
_OPTUNA_VERSIONS = ("version_info", "alembic_version")
_FUNCTION = """
    CREATE OR REPLACE FUNCTION {ours}.job_optuna_studies() RETURNS int[] LANGUAGE sql STABLE PARALLEL SAFE
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$ SELECT coalesce(array_agg(study_id), '{{}}') FROM {theirs}.studies
          WHERE study_name = ANY ({ours}.job_study_names()) $$
"""
_POLICY = "bandstand_jobs"


def optuna_schema(connection: Connection) -> str | None:
    """The schema that Optuna's tables are in, quoted; None where there are none."""
    name = "SELECT quote_ident(nspname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    found: str | None = connection.execute(sa.text(name + "WHERE pg_class.oid = to_regclass('trials')")).scalar()
    return found


def separate_optuna_rows(connection: Connection, theirs: str) -> None:
    """Have the logins of jobs see the rows of their own studies alone in Optuna's tables, if they do not already.

    Args:
        connection: of the tables' owner, in a transaction.
        theirs: Optuna's schema, quoted.
    """
    statements = [_FUNCTION.format(ours=SCHEMA, theirs=theirs)]
    for table, rows in _OPTUNA_ROWS.items():
        which = rows.format(ours=SCHEMA, theirs=theirs, table=f"{theirs}.{table}")
        statements += [
            f"DROP POLICY IF EXISTS {_POLICY} ON {theirs}.{table}",
            f"CREATE POLICY {_POLICY} ON {theirs}.{table} USING ({which} OR (SELECT NOT {SCHEMA}.is_job()))",
            f"ALTER TABLE {theirs}.{table} ENABLE ROW LEVEL SECURITY",
        ]
    mark = hashlib.sha256("".join(statements).encode()).hexdigest()
    if _mark(connection) == mark and _protected(connection, theirs) == len(_OPTUNA_ROWS):
        return  # each of the statements would wait for everybody who uses the tables
    for statement in statements:
        connection.execute(sa.text(statement.replace(":", r"\:")))
    connection.execute(sa.text(f"COMMENT ON FUNCTION {SCHEMA}.job_optuna_studies() IS '{mark}'"))


def drop_optuna_policies(connection: Connection) -> None:
    """Take the rules off Optuna's tables, whose columns Optuna could not change otherwise; rows stay out of reach."""
    for row in connection.execute(_WITH_POLICY, {"policy": _POLICY}).all():
        connection.execute(sa.text(f"DROP POLICY {_POLICY} ON {row.schema}.{row.name}"))


def restore_optuna_policies(connection: Connection) -> None:
    """Make the rules anew where there were some."""
    theirs = optuna_schema(connection)
    if theirs is not None and _mark(connection) is not None:
        separate_optuna_rows(connection, theirs)


def grant_all(connection: Connection, group: str, theirs: str) -> None:
    """Give a role what jobs need, and nothing beyond."""
    for statement in (
        f"GRANT USAGE ON SCHEMA {SCHEMA} TO {group}",
        f"GRANT USAGE ON SCHEMA {theirs} TO {group}",
        *(f"GRANT {_GRANTS[table]} ON {SCHEMA}.{table} TO {group}" for table in sorted(_GRANTS)),
        *(f"GRANT SELECT, INSERT, UPDATE ON {theirs}.{table} TO {group}" for table in _OPTUNA_ROWS),
        *(f"GRANT SELECT ON {theirs}.{table} TO {group}" for table in _OPTUNA_VERSIONS),
    ):
        connection.execute(sa.text(statement))
    for (sequence,) in connection.execute(sa.text(_SEQUENCES), {"tables": list(_OPTUNA_ROWS), "schema": theirs}):
        connection.execute(sa.text(f"GRANT USAGE ON SEQUENCE {sequence} TO {group}"))


_SEQUENCES = """
    SELECT sequence.oid::regclass FROM pg_depend
    JOIN pg_class sequence ON sequence.oid = pg_depend.objid AND sequence.relkind = 'S'
    JOIN pg_class of_table ON of_table.oid = pg_depend.refobjid AND of_table.relname = ANY (:tables)
    JOIN pg_namespace ON pg_namespace.oid = of_table.relnamespace AND quote_ident(nspname) = :schema
    WHERE pg_depend.deptype IN ('a', 'i')
"""


def _mark(connection: Connection) -> str | None:
    name = f"{SCHEMA}.job_optuna_studies()"
    query = sa.text("SELECT obj_description(to_regprocedure(:name), 'pg_proc')")
    found: str | None = connection.execute(query, {"name": name}).scalar()
    return found


def _protected(connection: Connection, theirs: str) -> int:
    """How many of Optuna's tables have the rule, and heed it."""
    found = connection.execute(_WITH_POLICY, {"policy": _POLICY}).all()
    return sum(1 for row in found if row.schema == theirs and row.heeded)


_WITH_POLICY = sa.text(
    "SELECT quote_ident(relname) AS name, quote_ident(nspname) AS schema, relrowsecurity AS heeded "
    "FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace "
    "WHERE polname = :policy"
)
