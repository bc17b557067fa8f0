"""A budget as it is written on a command line. Must not know what it is for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bandstand.errors import InputError

__all__ = ["BUDGET_FORMS", "budget_from"]

BUDGET_FORMS = "500 (epochs), 500epochs, trials=50, wall_seconds=3600, gpu_hours=2"
"""For the help, which must not need to know what a study is."""


def budget_from(texts: Sequence[str]) -> dict[str, float]:
    """A budget from `500`, which are epochs, `500epochs` or `epochs=500`; several limit several things.

    Raises:
        InputError: it cannot be read.
    """
    from bandstand.problem.budget import Budget

    budget: dict[str, float] = {}
    for text in (part.strip() for each in texts for part in each.split(",")):
        unit, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            found = re.fullmatch(r"([0-9._]+(?:e[+-]?[0-9]+)?)\s*([a-z_]*)", text)
            value, unit = found.groups() if found else ("", text)
        unit = unit or "epochs"
        try:
            budget[unit] = int(value) if unit in ("epochs", "trials") else float(value)
        except ValueError:
            unit = ""
        if unit not in Budget.model_fields:
            raise InputError(f"a budget must look like one of these: {BUDGET_FORMS}; got {text!r}")
    return budget
