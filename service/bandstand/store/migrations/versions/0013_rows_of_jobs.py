"""A job with a database login of its own sees the rows of its submission alone.

A job's login is called as its run. `session_user` is what it logged in as: no statement of a login changes that, unlike
a setting or the role that `SET ROLE` chooses. Whoever is no job sees what it is granted, as before.
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
SCHEMA = "bandstand_store"
FUNCTIONS = {
    "is_job": """
        CREATE FUNCTION {schema}.is_job() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
        SET search_path = pg_catalog, pg_temp
        AS $$ SELECT session_user ~ '^bandstand-[0-9]+-[0-9]+-[0-9a-f]{{12}}$' $$
    """,
    "job_submission": """
        CREATE FUNCTION {schema}.job_submission() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
        SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$ SELECT submission_id FROM {schema}.run WHERE id = session_user::text $$
    """,
    "job_studies": """
        CREATE FUNCTION {schema}.job_studies() RETURNS bigint[] LANGUAGE sql STABLE PARALLEL SAFE
        SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$ SELECT coalesce(array_agg(study_id), '{{}}') FROM {schema}.submission_study
              WHERE submission_id = {schema}.job_submission() $$
    """,
    "job_study_names": """
        CREATE FUNCTION {schema}.job_study_names() RETURNS text[] LANGUAGE sql STABLE PARALLEL SAFE
        SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$ SELECT coalesce(array_agg(name), '{{}}') FROM {schema}.study
              WHERE id = ANY ({schema}.job_studies()) $$
    """,
    # Of the study that a study replays, which may be anybody's, its job learns two fingerprints and no more.
    "replayed": """
        CREATE FUNCTION {schema}.replayed(replay_name text, fingerprint text) RETURNS json LANGUAGE sql STABLE
        SECURITY DEFINER SET search_path = pg_catalog, pg_temp
        AS $$ SELECT event.data FROM {schema}.study replay
              JOIN {schema}.study original ON original.name = replay.spec -> 'sampler_options' ->> 'study'
              JOIN {schema}.event event ON event.study_id = original.id
              WHERE replay.name = replay_name AND replay.spec ->> 'sampler' = 'replay' AND original.id < replay.id
              AND event.kind = fingerprint AND fingerprint IN ('data_seen', 'code_seen')
              AND (fingerprint = 'data_seen'
                   OR EXISTS (SELECT FROM {schema}.measurement trained WHERE trained.study_id = original.id))
              AND (NOT {schema}.is_job() OR replay.id = ANY ({schema}.job_studies()))
              AND has_table_privilege(session_user, '{schema}.event', 'SELECT')
              ORDER BY CASE fingerprint WHEN 'data_seen' THEN event.seq ELSE -event.seq END LIMIT 1 $$
    """,
}
OF_STUDY = "study_id = ANY ((SELECT {schema}.job_studies())::bigint[])"
OF_SUBMISSION = "= (SELECT {schema}.job_submission())"
ROWS = {
    "study": OF_STUDY.replace("study_id", "id"),
    **dict.fromkeys(
        ("lease", "trial", "attempt", "checkpoint", "measurement", "event", "request"),
        OF_STUDY,
    ),
    "submission": f"id {OF_SUBMISSION}",
    "submission_study": f"submission_id {OF_SUBMISSION}",
    "run": f"submission_id {OF_SUBMISSION}",
    **dict.fromkeys(
        ("comparison", "comparison_study", "leftover", "code", "run_log", "server", "token", "secret"), "false"
    ),
}
"""Which rows of each table a job may see, if it is granted the table at all."""


def upgrade() -> None:
    for function in FUNCTIONS.values():
        op.execute(function.format(schema=SCHEMA))
    for table, rows in ROWS.items():
        rows = rows.format(schema=SCHEMA)
        op.execute(f"ALTER TABLE {SCHEMA}.{table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY jobs ON {SCHEMA}.{table} USING ({rows} OR (SELECT NOT {SCHEMA}.is_job()))")
    # A job changes its own run alone, not an earlier one of its submission.
    own = f"id = session_user::text OR (SELECT NOT {SCHEMA}.is_job())"
    op.execute(f"CREATE POLICY own ON {SCHEMA}.run AS RESTRICTIVE FOR UPDATE USING ({own})")


def downgrade() -> None:
    op.execute(f"DROP POLICY own ON {SCHEMA}.run")
    for table in ROWS:
        op.execute(f"DROP POLICY jobs ON {SCHEMA}.{table}")
        op.execute(f"ALTER TABLE {SCHEMA}.{table} DISABLE ROW LEVEL SECURITY")
    op.execute(f"DROP FUNCTION {SCHEMA}.replayed(text, text)")
    for name in ("job_study_names", "job_studies", "job_submission", "is_job"):
        op.execute(f"DROP FUNCTION {SCHEMA}.{name}() CASCADE")  # Optuna's tables have policies that ask them
