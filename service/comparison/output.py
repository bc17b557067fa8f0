"""A comparison as a file: an HTML page, Markdown or JSON, by the file's ending.

Knows the formats. Must not know what is in the parts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.comparison.judgement import judge
from service.comparison.page import page_of
from service.comparison.summary import (
    answer_from,
    arms_table,
    baseline_table,
    best_runs_table,
    grid_sentences,
    settings_sentence,
    state_sentences,
)
from service.errors import InputError

if TYPE_CHECKING:
    from service.comparison.results import Results
    from service.report.drawing import Table

__all__ = ["check_output", "json_from", "markdown_of", "write_comparison"]


def check_output(path: Path) -> None:
    """Refuse a file that could not be written, before anything is run.

    Raises:
        InputError: its folder is not there, or its ending is unknown.
    """
    if path.suffix not in _FORMATS:
        raise InputError(f"the report's file must end in {', '.join(_FORMATS)}; got {path.name!r}")
    if not path.absolute().parent.is_dir():
        raise InputError(f"the report's folder must exist; {str(path.parent)!r} does not: make it")


def write_comparison(results: Results, path: Path) -> None:
    """Write the report of a comparison; a file that is there is replaced.

    Raises:
        InputError: as `check_output`.
        OSError: the file cannot be written.
    """
    check_output(path)
    path.write_text(_FORMATS[path.suffix](results), encoding="utf-8")


def markdown_of(results: Results) -> str:
    """Sentences and tables, without figures."""
    judgement = judge(results)
    parts = [
        f"# {_escaped(results.plan.name)}",
        _escaped(" ".join(answer_from(results, judgement))),
        *(f"> {_escaped(sentence)}" for sentence in state_sentences(results)),
        _escaped(settings_sentence(results)),
        *map(_escaped, grid_sentences(results)),
        _markdown_table(arms_table(results, judgement)),
    ]
    for baseline, family in judgement.against:
        parts += [f"## Against {_escaped(baseline)} search", _markdown_table(baseline_table(family, judgement.measure))]
    if judgement.leader is not None:
        parts += [
            f"## What each repeat of {_escaped(judgement.leader)} chose",
            _markdown_table(best_runs_table(results, judgement.leader)),
        ]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    lines = [table.header, ("---",) * len(table.header), *table.rows]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is: no HTML, no table cells, no emphasis."""
    for character in "\\`*_|[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").split()) if text != "---" else text


def json_from(results: Results) -> dict[str, Any]:
    """Everything that was found, and what it is judged to mean; numbers that are not finite are null."""
    judgement = judge(results)
    plan = results.plan
    found = {
        "name": plan.name,
        "answer": answer_from(results, judgement),
        "notes": [*state_sentences(results), *grid_sentences(results)],
        "spec": plan.spec.model_dump(mode="json"),
        "repeats": plan.repeats,
        "measure": judgement.measure,
        "leader": judgement.leader,
        "winner": judgement.winner,
        "arms": [
            arm._asdict() | {"studies": [_run_json(run) for run in (*of.runs, *of.failed)]}
            for arm, of in zip(judgement.arms, results.arms, strict=True)
        ],
        "against": {baseline: [_versus_json(one) for one in family] for baseline, family in judgement.against},
        "pairs": [_versus_json(one) for one in judgement.pairs],
    }
    plain: dict[str, Any] = _plain(found)
    return plain


def _run_json(run: Any) -> dict[str, Any]:
    return {**run._asdict(), "best_params": dict(run.best_params)}


def _versus_json(versus: Any) -> dict[str, Any]:
    return {**versus._asdict(), "is_better": versus.is_better, "is_worse": versus.is_worse}


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _json_text(results: Results) -> str:
    return json.dumps(json_from(results), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


_FORMATS: dict[str, Callable[[Results], str]] = {".html": page_of, ".md": markdown_of, ".json": _json_text}
