"""The page of a comparison: one HTML file that needs nothing else.

Knows its parts and their order. Must not know how a figure is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from service.comparison.anytime import draw_by_epochs, draw_by_seconds
from service.comparison.differences import draw_differences
from service.comparison.final_values import draw_final_values
from service.comparison.judgement import judge
from service.comparison.summary import (
    answer_from,
    arms_table,
    baseline_table,
    best_runs_table,
    grid_sentences,
    settings_sentence,
    state_sentences,
)
from service.comparison.wins import draw_wins
from service.report.document import make_document, make_section, make_table
from service.report.drawing import Drawing

if TYPE_CHECKING:
    from service.comparison.judgement import Judgement
    from service.comparison.results import Results

__all__ = ["page_of"]


def page_of(results: Results) -> str:
    """The whole page."""
    judgement = judge(results)
    drawings: dict[str, tuple[str, Drawing | str]] = {
        "by_epochs": ("What the budget bought", draw_by_epochs(results)),
        "by_seconds": ("What the time bought", draw_by_seconds(results)),
        "final_values": ("What each repeat ended with", draw_final_values(results, judgement)),
        "differences": ("How much over random and grid search", draw_differences(judgement)),
        "wins": ("How often one beats another", draw_wins(judgement)),
    }
    sections = {name: make_section(name, title, drawing) for name, (title, drawing) in drawings.items()}
    body = [
        _head(results, judgement),
        sections["by_epochs"],
        sections["final_values"],
        sections["differences"],
        _baselines(judgement),
        sections["wins"],
        sections["by_seconds"],
        _choices(results, judgement),
        _reproduction(results),
    ]
    figures = {name: drawing for name, (_, drawing) in drawings.items() if isinstance(drawing, Drawing)}
    return make_document(results.plan.name, body, figures)


def _head(results: Results, judgement: Judgement) -> str:
    state = "complete" if results.is_complete else "running"
    parts = [
        f'<h1>{escape(results.plan.name)} <span class="state {state}">{state}</span></h1>',
        f'<p class="answer">{escape(" ".join(answer_from(results, judgement)))}</p>',
        f'<p class="quiet">{escape(settings_sentence(results))}</p>',
        *_paragraphs(grid_sentences(results), "quiet"),
    ]
    notes = state_sentences(results)
    if notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in notes)
        parts.append(f'<div class="notices" role="note"><ul>{items}</ul></div>')
    parts.append(
        "<noscript><p>The figures are drawn by a script in this file; scripts are switched off.</p></noscript>"
    )
    parts.append(make_table(arms_table(results, judgement)))
    parts.append(
        '<p class="caption">Means over the repeats, with half the width of Student\'s t interval (95 %). The gap is '
        "how much better the chosen model looks on the validation data than on the test data. Ranks are over the "
        "repeats that all arms have, 1 the best.</p>"
    )
    return "".join(parts)


def _paragraphs(sentences: Sequence[str], kind: str) -> list[str]:
    return [f'<p class="{kind}">{escape(sentence)}</p>' for sentence in sentences]


def _baselines(judgement: Judgement) -> str:
    if not judgement.against:
        return ""
    parts = ['<section id="baselines"><h2>Against the baselines, in numbers</h2>']
    for baseline, family in judgement.against:
        parts.append(
            f"<h3>Against {escape(baseline)} search</h3>{make_table(baseline_table(family, judgement.measure))}"
        )
    parts.append(
        '<p class="caption">Differences are means of the paired differences, positive being better, with Student\'s t '
        "interval (95 %). p is of the paired permutation test (sign changes), corrected by Holm for the rows of the "
        "table. The effect size is Cohen's d of the differences. Repeats needed: with which a difference like this "
        "one would be shown in four comparisons of five. Wins: how often a run ends better than one of the baseline. "
        "Speed-up: how many times fewer epochs were needed than the baseline's own to reach its final validation "
        "value; the median over repeats with its percentile bootstrap interval (95 %).</p></section>"
    )
    return "".join(parts)


def _choices(results: Results, judgement: Judgement) -> str:
    if judgement.leader is None:
        return ""
    table = make_table(best_runs_table(results, judgement.leader))
    studies = ", ".join(run.study for run in results.arm(judgement.leader).runs)
    return (
        f'<section id="choices"><h2>What each repeat of {escape(judgement.leader)} chose</h2>{table}'
        '<p class="caption">Where repeats with equal values chose different params, those params matter little, or '
        f"there are several good places. Each is a study of its own with a report: {escape(studies)}.</p></section>"
    )


def _reproduction(results: Results) -> str:
    plan = results.plan
    strategies = ",".join(arm.label for arm in plan.arms)
    command = f"bandstand compare FILE --strategies {strategies} --repeats {plan.repeats} --as '{plan.name}'"
    environments = [record.environment for record in results.records.values() if record.environment]
    known = ", ".join(f"{name} {value}" for name, value in sorted(environments[-1].items())) if environments else ""
    return (
        '<section id="rerun"><h2>To run this again</h2>'
        f"<pre>{escape(command)}</pre>"
        f'<p class="quiet">The same command extends it by strategies or repeats; nothing is run twice. '
        f"{escape(f'Trained with {known}.' if known else '')}</p></section>"
    )
