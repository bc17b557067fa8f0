"""The fields of the forms in which a budget is extended and a trial is asked for.

Knows spaces and budgets. Must not know what becomes of what is filled in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bandstand.problem.budget import Budget
from bandstand.study.study_spec import StudySpec
from bandstand_spaces import Categorical, Float, Int

__all__ = ["Field", "budget_fields", "param_fields"]

_UNITS = {"epochs": "epochs", "trials": "trials", "wall_seconds": "seconds", "gpu_hours": "GPU hours"}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field."""

    name: str
    label: str
    hint: str | None
    kind: Literal["number", "choice"]
    value: str | None
    choices: Sequence[tuple[str, str]] = ()
    """(JSON of the choice, how it is shown)."""


def budget_fields(budget: Budget) -> list[Field]:
    """One for each limit that there is, with its value."""
    limits = budget.model_dump(exclude_none=True)
    return [
        Field(name=name, label=_UNITS[name], hint=None, kind="number", value=f"{limit:.15g}")
        for name, limit in limits.items()
    ]


def param_fields(spec: StudySpec) -> list[Field]:
    """One for each parameter of the space, those under a choice too."""
    fields = []
    for name, parameter, condition in spec.space.flat():
        where = " and ".join(f"{parent} = {choice}" for parent, choice in condition)
        only = f"only with {where}" if where else None
        match parameter:
            case Categorical():
                choices = [(json.dumps(choice), str(choice)) for choice in parameter.choices]
                fields.append(Field(name=name, label=name, hint=only, kind="choice", value=None, choices=choices))
            case Int() | Float():
                bounds = f"{parameter.low:.6g} to {parameter.high:.6g}{', logarithmic' if parameter.log else ''}"
                hint = ", ".join(part for part in (bounds, only) if part)
                fields.append(Field(name=name, label=name, hint=hint, kind="number", value=None))
    return fields
