"""A study's model has the weights of an epoch of its trial, which need not be the trial's best one any more.

A trial that goes on after its study was stopped may find a better epoch than that of the model which was kept then.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
SCHEMA = "bandstand_store"


def upgrade() -> None:
    op.add_column("study", sa.Column("model_epoch", sa.Integer), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("study", "model_epoch", schema=SCHEMA)
