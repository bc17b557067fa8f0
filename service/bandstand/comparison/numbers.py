"""All numbers of a comparison as JSON data, for programs.

Knows what is found and judged. Must not know sentences or figures beyond the answer.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from bandstand.comparison.conclusions import judge
from bandstand.comparison.results import Results
from bandstand.comparison.summary import answer_from, grid_sentences, state_sentences

__all__ = ["json_from"]


def json_from(results: Results) -> dict[str, Any]:
    """Everything that was found, and what it is judged to mean; numbers that are not finite are null."""
    conclusions = judge(results)
    plan = results.plan
    found = {
        "name": plan.name,
        "answer": answer_from(results, conclusions),
        "notes": [*state_sentences(results), *grid_sentences(results)],
        "spec": plan.spec.model_dump(mode="json"),
        "repeats": plan.repeats,
        "measure": conclusions.measure,
        "leader": conclusions.leader,
        "winner": conclusions.winner,
        "arms": [
            arm._asdict() | {"studies": [_run_json(run) for run in (*of.studies, *of.failed)]}
            for arm, of in zip(conclusions.arms, results.arms, strict=True)
        ],
        "against": {baseline: [_versus_json(one) for one in family] for baseline, family in conclusions.against},
        "pairs": [_versus_json(one) for one in conclusions.pairs],
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
