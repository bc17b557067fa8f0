"""Writes a study's trials to a file: what `bandstand export` does.

Knows the columns. Must not know where trials come from. A .csv file is written as trials are read, so that it may hold
more than fits into memory.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bandstand.store.reading.study_list import TrialSummary
from bandstand.study.study_spec import StudySpec

__all__ = ["row_from", "write_trials"]

_COLUMNS = (
    "number", "state", "reason", "message", "value", "best_epoch", "epochs", "seconds", "bracket", "attempts",
    "parent", "from_epoch", "origin", "created_at", "ended_at",
)  # fmt: skip


def row_from(trial: TrialSummary, spec: StudySpec) -> dict[str, Any]:
    """A trial as a row of a table: its facts, then `params_<name>` for each parameter; None where it is not active."""
    params = {f"params_{name}": trial.params.get(name) for name, _, _ in spec.space.flat()}
    return {name: getattr(trial, name) for name in _COLUMNS} | params


def write_trials(path: Path, pages: Iterable[list[TrialSummary]], spec: StudySpec) -> int:
    """Write a .csv or .parquet file; returns how many trials it has."""
    if path.suffix == ".csv":
        return _write_csv(path, pages, spec)
    import pandas as pd

    rows = [row_from(trial, spec) for page in pages for trial in page]
    names = [*_COLUMNS, *(f"params_{name}" for name, _, _ in spec.space.flat())]
    pd.DataFrame(rows, columns=names).to_parquet(path, index=False)
    return len(rows)


def _write_csv(path: Path, pages: Iterable[list[TrialSummary]], spec: StudySpec) -> int:
    names = [*_COLUMNS, *(f"params_{name}" for name, _, _ in spec.space.flat())]
    written = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        for page in pages:
            writer.writerows(row_from(trial, spec) for trial in page)
            written += len(page)
    return written
