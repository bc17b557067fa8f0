"""Which parts the report of a comparison has, and in which order.

Knows the parts by name. Must not know how one is made or shown.
"""

from __future__ import annotations

import shlex

from bandstand.comparison.conclusions import Conclusions, judge
from bandstand.comparison.figures import COMPARISON_FIGURES
from bandstand.comparison.results import ArmStudy, Results
from bandstand.comparison.summary import (
    answer_from,
    arms_table,
    baseline_table,
    best_runs_table,
    disagreement_sentence,
    grid_sentences,
    settings_sentence,
    state_sentences,
)
from bandstand.report import parts
from bandstand.report.content import Block, Bullets, Code, Document, Figure, Prose, Section, Sheet
from bandstand.report.drawing.drawing import Table
from bandstand.report.outline import best_sections
from bandstand.report.spec_as_toml import toml_from

__all__ = ["make_comparison_report"]

BASELINE_COLUMNS = (
    ("Difference", "Mean of the paired differences (positive is better), with Student's t interval (95 %)."),
    ("p (Holm)", "p of the paired permutation test (sign changes), corrected by Holm for the rows of the table."),
    ("Effect size", "Cohen's d of the differences."),
    (
        "Repeats needed",
        "Repeats with which four of five comparisons would show a difference of this size, corrected in the same way. "
        "To show that the leader is better than all others can take more.",
    ),
    ("Wins", "Share of pairs in which a repeat of the strategy ends better than one of the baseline."),
    (
        "Speed-up",
        "Epochs that the baseline needed for its final validation value, divided by the epochs that the strategy "
        "needed for it: the median over the repeats with its percentile bootstrap interval (95 %).",
    ),
)


def make_comparison_report(results: Results) -> Document:
    """The answer, what it rests on, the best study of the best arm in full, how to reproduce it."""
    conclusions = judge(results)
    best = _best_run(results, conclusions)
    sections = [
        Section("quality", "Results at equal budget", _figures(results, conclusions, "by_epochs", "final_values")),
        Section(
            "baselines",
            "Compared with random and grid search",
            (*_figures(results, conclusions, "differences"), *_baselines(conclusions)),
        ),
        Section(
            "others", "Compared with each other and over time", _figures(results, conclusions, "wins", "by_seconds")
        ),
        *([] if best is None else _best(results, best)),
        Section("rerun", "How to reproduce", _reproduction(results)),
    ]
    state = "finished" if results.is_complete else "running"
    return Document(
        results.plan.name, state, _opening(results, conclusions), tuple(one for one in sections if one.blocks)
    )


def _opening(results: Results, conclusions: Conclusions) -> tuple[Block, ...]:
    notes = state_sentences(results)
    return (
        Prose(" ".join(answer_from(results, conclusions)), "answer"),
        Prose(settings_sentence(results), "quiet"),
        *(Prose(sentence, "quiet") for sentence in grid_sentences(results)),
        *((Bullets("Problems", tuple(notes)),) if notes else ()),
        Sheet(arms_table(results, conclusions)),
        Prose(
            "Values are means over the repeats, with half the width of Student's t interval (95 %). The gap shows how "
            "much better the chosen model is on the validation data than on the test data. The mean rank (1 is the "
            "best) is over the repeats that all strategies have.",
            "quiet",
        ),
    )


def _figures(results: Results, conclusions: Conclusions, *names: str) -> tuple[Figure, ...]:
    return tuple(
        Figure(name, COMPARISON_FIGURES[name].title, COMPARISON_FIGURES[name].draw(results, conclusions))
        for name in names
    )


def _baselines(conclusions: Conclusions) -> tuple[Block, ...]:
    if not conclusions.against:
        return ()
    blocks: list[Block] = []
    for baseline, family in conclusions.against:
        blocks += [Prose(f"Compared with {baseline} search:"), Sheet(baseline_table(family, conclusions.measure))]
    meanings = Table(("Column", "Meaning"), BASELINE_COLUMNS)
    return (*blocks, Sheet(meanings, "", "What the columns mean"))


def _best_run(results: Results, conclusions: Conclusions) -> ArmStudy | None:
    """Of the leading arm the one with the best validation value: choosing by test data would spoil them."""
    if conclusions.leader is None:
        return None
    sign = results.plan.spec.objective.sign
    runs = results.arm(conclusions.leader).studies
    return min(runs, key=lambda run: sign * (run.best_value if run.best_value is not None else 0.0))


def _best(results: Results, best: ArmStudy) -> list[Section]:
    """What the leading arm's repeats chose, then the best of its studies as in a report of its own."""
    arm = next(arm for arm in results.arms if best in arm.studies)
    disagreement = disagreement_sentence(results, arm.label)
    choices: tuple[Block, ...] = (
        Prose(f"Each repeat is a study with its own report: {', '.join(run.study for run in arm.studies)}."),
        Sheet(best_runs_table(results, arm.label)),
        *((Bullets("What to doubt", (disagreement,)),) if disagreement else ()),
        Prose(f"The sections below show the study with the best validation value: {best.study}.", "quiet"),
    )
    return [Section("choices", f"Params that {arm.label} chose", choices), *best_sections(results.records[best.study])]


def _reproduction(results: Results) -> tuple[Block, ...]:
    plan = results.plan
    strategies = shlex.quote(",".join(arm.label for arm in plan.arms))
    command = f"bandstand compare comparison.toml --strategies {strategies} --repeats {plan.repeats}"
    command += f" --as {shlex.quote(plan.name)}"
    try:
        study_file: Block = Code("study-file", toml_from(plan.spec), "toml")
    except ValueError as error:
        study_file = Prose(f"The settings of the studies cannot be written as TOML: {error}.", "sentence")
    records = [record for record in results.records.values() if record.environment]
    return (
        Prose("All studies share these settings. Save them as comparison.toml:"),
        study_file,
        Prose("Then run this command. With more strategies or repeats it extends the comparison and repeats nothing:"),
        Code("command", command, "sh"),
        *(parts.trained_with(records[-1]) if records else ()),
    )
