"""Runs migrations on the connection that `bandstand.store.store` hands over; there is no way to run them beside it."""

from __future__ import annotations

from alembic import context

from bandstand.store.tables import SCHEMA, metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, version_table_schema=SCHEMA, include_schemas=True)
with context.begin_transaction():
    context.run_migrations()
