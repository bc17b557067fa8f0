"""Studies that began before proposals were looked at for what is likely to fail go on without that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
SCHEMA = "bandstand_store"
KEY = "avoid_failures"


def upgrade() -> None:
    _change(lambda spec: spec if KEY in spec else {**spec, KEY: None})


def downgrade() -> None:
    _change(lambda spec: {key: value for key, value in spec.items() if key != KEY})


def _change(changed) -> None:  # type: ignore[no-untyped-def]
    connection = op.get_bind()
    # Not JSONB: the order of a space's parameters is part of it.
    table = sa.table("study", sa.column("id", sa.BigInteger), sa.column("spec", sa.JSON), schema=SCHEMA)
    for row in connection.execute(sa.select(table)).all():
        connection.execute(sa.update(table).where(table.c.id == row.id).values(spec=changed(row.spec)))
