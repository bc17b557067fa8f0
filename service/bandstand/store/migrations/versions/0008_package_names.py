"""References to what comes with Bandstand name the package `bandstand_workers`, which was called `workers`.

A study's spec and a comparison's name functions as `module:function`; Optuna's tables repeat a study's model and data.
Only modules that the old package had are renamed: any other one called `workers` is a user's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
SCHEMA = "bandstand_store"
OLD, NEW = "workers", "bandstand_workers"
MODULES = (
    "datasets.california", "datasets.digits", "datasets.fashion_mnist", "datasets.mnist", "learning_rates",
    "learning_rates.random_restarts", "learning_rates.schedules", "learning_rates.table",
    "learning_rates.warm_restarts", "models.california_mlp", "models.digits_mlp", "models.mnist_lenet",
    "models.mnist_mlp",
)  # fmt: skip
"""Those with functions that a study could name; each has the same place in the new package."""
_KEYS = ("bandstand:model", "bandstand:data")


def upgrade() -> None:
    _rename({f"{OLD}.{module}": f"{NEW}.{module}" for module in MODULES})


def downgrade() -> None:
    _rename({f"{NEW}.{module}": f"{OLD}.{module}" for module in MODULES})


def _rename(modules: Mapping[str, str]) -> None:
    connection = op.get_bind()
    for name in ("study", "comparison"):
        # Not JSONB: the order of a space's parameters is part of it.
        table = sa.table(name, sa.column("id", sa.BigInteger), sa.column("spec", sa.JSON), schema=SCHEMA)
        for row in connection.execute(sa.select(table)).all():
            spec = _renamed_spec(row.spec, modules)
            if spec != row.spec:
                connection.execute(sa.update(table).where(table.c.id == row.id).values(spec=spec))
    _rename_in_optuna(connection, modules)


def _renamed_spec(spec: dict[str, Any], modules: Mapping[str, str]) -> dict[str, Any]:
    references = {
        "model": _renamed(spec["model"], modules),
        "data": _renamed(spec["data"], modules),
        "callbacks": [_renamed(reference, modules) for reference in spec.get("callbacks", [])],
    }
    return {key: references.get(key, value) for key, value in spec.items()}


def _renamed(reference: str, modules: Mapping[str, str]) -> str:
    module, colon, function = reference.partition(":")
    return modules.get(module, module) + colon + function


def _rename_in_optuna(connection: sa.Connection, modules: Mapping[str, str]) -> None:
    """Optuna's tables lie in the same database, once a study was made."""
    if connection.execute(sa.text("SELECT to_regclass('study_user_attributes')")).scalar() is None:
        return
    key, value = sa.column("key", sa.Text), sa.column("value_json", sa.Text)
    table = sa.table("study_user_attributes", key, value)
    stored = connection.execute(sa.select(value).where(key.in_(_KEYS)).distinct()).scalars().all()
    for text in stored:
        renamed = json.dumps(_renamed(json.loads(text), modules))
        if renamed != text:
            connection.execute(sa.update(table).where(key.in_(_KEYS), value == text).values(value_json=renamed))
