"""Databases with Optuna's tables for the tests of the storage, and what strangers do to them."""

from __future__ import annotations

from typing import Any

import psycopg
from optuna.storages import RDBStorage

from bandstand.optuna_storage import SoleWriterStorage
from bandstand.store.optuna_mirror import open_storage
from bandstand.store.store import Store


def _moment(name: str) -> str:
    """A datetime of long ago; of the others whether they are there and were an hour ago at most, in UTC."""
    ago = f"age(timezone('utc', now()), datetime_{name}) BETWEEN '-1 h' AND '1 h'"
    return f"{ago}, CASE WHEN NOT {ago} THEN datetime_{name} END"


_STUDY = "JOIN studies AS study USING (study_id)"
_TRIAL = "JOIN trials AS trial USING (trial_id) JOIN studies AS study USING (study_id)"
CONTENT = {
    "studies": "SELECT study_name FROM studies",
    "study_directions": f"SELECT study_name, objective, direction::text FROM study_directions {_STUDY}",
    "study_user_attributes": f"SELECT study_name, key, value_json FROM study_user_attributes {_STUDY}",
    "study_system_attributes": f"SELECT study_name, key, value_json FROM study_system_attributes {_STUDY}",
    "trials": f"SELECT study_name, number, state::text, {_moment('start')}, {_moment('complete')} FROM trials {_STUDY}",
    "trial_params": "SELECT study_name, number, row_number() OVER (PARTITION BY trial_id ORDER BY param_id), "
    f"param_name, param_value, distribution_json FROM trial_params {_TRIAL}",
    "trial_values": f"SELECT study_name, number, objective, value, value_type::text FROM trial_values {_TRIAL}",
    "trial_intermediate_values": "SELECT study_name, number, step, intermediate_value, intermediate_value_type::text "
    f"FROM trial_intermediate_values {_TRIAL}",
    "trial_user_attributes": f"SELECT study_name, number, key, value_json FROM trial_user_attributes {_TRIAL}",
    "trial_system_attributes": f"SELECT study_name, number, key, value_json FROM trial_system_attributes {_TRIAL}",
    "trial_heartbeats": f"SELECT study_name, number FROM trial_heartbeats {_TRIAL}",
}
"""Each of Optuna's tables without ids and without the time of the test: what two storages must agree on."""


def make_database(store: Store, name: str) -> str:
    """A database of its own with Optuna's tables; returns its URL."""
    with psycopg.connect(store.database.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = store.database.url.replace("/bandstand?", f"/{name}?")
    SoleWriterStorage.open(url).close()
    return url


def execute(url: str, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    """Run one statement on a connection of its own, as a stranger would."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), parameters)
        return cursor.fetchall() if cursor.description else []


def truncate(url: str) -> None:
    execute(url, f"TRUNCATE {', '.join(CONTENT)}")


def content(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All that is in Optuna's tables, comparable between databases."""
    return {table: sorted(execute(url, query), key=repr) for table, query in CONTENT.items()}


def end_other_connections(url: str) -> None:
    """Break every connection to the database, as a restarted server would."""
    execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def stranger(url: str) -> RDBStorage:
    """Optuna's own storage on the same tables."""
    return open_storage(url)
