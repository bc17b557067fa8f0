"""Which parts a report has and in which order: as a report of results, or as the write-up of a project.

Knows the parts by name. Must not know how one is made or shown.

The write-up's headings are those of a template for presenting machine learning results (J. Brownlee, Machine Learning
Mastery with Python, 2016, lesson "Predictive modeling project template", and his "How to use machine learning
results"): problem, data summary, test harness, baseline, results, improvements, final model, extensions, resources.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from bandstand.report import parts
from bandstand.report.content import Block, Document, Figure, Prose, Section
from bandstand.report.figures import REPORTS
from bandstand.report.text import and_list, counted
from bandstand.store.records import StudyRecord

__all__ = ["STYLES", "best_sections", "make_report", "make_writeup"]

SEARCH = ("best_so_far", "history")
EFFECTS = ("importances", "slices", "contour", "parallel_coordinates")
CURVES = ("train_validation", "learning_curves")
SPENT = ("epochs_spent", "time_spent", "trainers", "concurrency")
LINEAGES = ("lineages",)

HEADINGS = (
    "Problem", "Data summary", "Test harness", "Baseline", "Results", "Improvements", "Final model", "Extensions",
    "Resources",
)  # fmt: skip


def make_report(record: StudyRecord, others: Sequence[StudyRecord]) -> Document:
    """The answer, then what it rests on, then how to reproduce it."""
    opening = (*parts.answer(record), *parts.settings(record), *_notes(record.spec.notes), *parts.notices(record))
    sections = [
        Section("search", "How the search went", _figures(record, others, SEARCH)),
        *best_sections(record),
        Section("rerun", "How to reproduce", parts.how_to_reproduce(record)),
    ]
    return Document(record.spec.name, record.state, opening, tuple(section for section in sections if section.blocks))


def best_sections(record: StudyRecord) -> list[Section]:
    """What a study found, how it learned, and where its budget went."""
    return [
        Section(
            "best",
            "Best configuration",
            (*parts.best_configuration(record), *parts.warnings(record), *_figures(record, (), EFFECTS)),
        ),
        Section("curves", "Learning curves", _curves(record)),
        Section("budget", "Where the budget went", (*_figures(record, (), SPENT), *parts.failures(record))),
        Section("lineage", "Lineages", (*_figures(record, (), LINEAGES), *parts.replays(record))),
    ]


def _figures(record: StudyRecord, others: Sequence[StudyRecord], names: Sequence[str]) -> tuple[Figure, ...]:
    """Those that concern the study: a comparison only with others, lineages only where trials have parents."""
    concerns = {
        "best_so_far": bool(others),
        "lineages": bool(record.trials["parent"].notna().any()),
    }
    return tuple(
        Figure(name, REPORTS[name].title, REPORTS[name].draw(record, others), record.spec.name)
        for name in names
        if concerns.get(name, True)
    )


def _curves(record: StudyRecord) -> tuple[Block, ...]:
    """The learning curves, with the rules of the diagnosis where something was diagnosed."""
    figures = _figures(record, (), CURVES)
    return (*figures, *(() if isinstance(figures[0].drawing, str) else parts.diagnosis_rules()))


def _notes(text: str) -> tuple[Block, ...]:
    return (Prose(text.strip(), "notes"),) if text.strip() else ()


def make_writeup(record: StudyRecord, others: Sequence[StudyRecord]) -> Document:
    """The same parts under the headings of a project write-up, with the user's own words where they belong.

    In the study's notes, a line `## Problem` begins what the user has to say under that heading; what stands before
    any heading is about the problem.
    """
    said = _said(record.spec.notes)
    made: dict[str, tuple[Block, ...]] = {
        "Problem": _problem(record),
        "Data summary": _data_summary(record),
        "Test harness": (*_test_harness(record), *parts.settings(record)),
        "Baseline": _baseline(record, others),
        "Results": (
            *parts.answer(record),
            *_figures(record, (), ("history",)),
            *_figures(record, others, LINEAGES),
            *parts.replays(record),
        ),
        "Improvements": _figures(record, others, EFFECTS),
        "Final model": (*parts.best_configuration(record), *_curves(record)),
        "Extensions": parts.warnings(record) or (Prose("The search gives no hint of where to search further."),),
        "Resources": (
            *parts.notices(record),
            *_figures(record, others, SPENT),
            *parts.failures(record),
            *parts.how_to_reproduce(record),
        ),
    }
    sections = tuple(
        Section(heading.lower().replace(" ", "-"), heading, (*_notes(said.get(heading, "")), *made[heading]))
        for heading in HEADINGS
    )
    return Document(record.spec.name, record.state, (), sections)


def _said(notes: str) -> dict[str, str]:
    """The user's words by heading."""
    by_name = {heading.lower(): heading for heading in HEADINGS}
    said: dict[str, list[str]] = {}
    heading = HEADINGS[0]
    for line in notes.splitlines():
        named = re.fullmatch(r"#+\s*(.+?)\s*#*\s*", line)
        found = by_name.get(named[1].lower().rstrip(":")) if named else None
        if found:
            heading = found
        else:
            said.setdefault(heading, []).append(line)
    return {name: "\n".join(lines).strip() for name, lines in said.items()}


def _problem(record: StudyRecord) -> tuple[Block, ...]:
    objective = record.spec.objective
    words = f"The study tunes {record.spec.model} and judges it by {objective.metric} ({objective.better})."
    if record.spec.notes.strip():
        return (Prose(words),)
    return (Prose(words), Prose("The study has no notes that say what the model is for.", "quiet"))


def _data_summary(record: StudyRecord) -> tuple[Block, ...]:
    """What the study's latest run stored about its data."""
    source = f"The data set comes from {record.spec.data}."
    counts = _examples(record.environment.get("examples", ""))
    known = [f"{counted(total, 'example')} to {purpose}" for purpose, total in counts]
    told = f" It has {and_list(known)}." if known else " The number of its examples was not stored."
    fingerprint = record.environment.get("data")
    mark = (
        f" The fingerprint of its arrays is {fingerprint}; other data have another fingerprint." if fingerprint else ""
    )
    missing = " It has no test split." if record.has_test is False else ""
    return (Prose(f"{source}{told}{missing}{mark} Describe the data in the study's notes."),)


def _examples(stored: str) -> list[tuple[str, int]]:
    """What each split is for and how many examples it has, from `test 270, train 1,257, validation 270`."""
    purposes = {"train": "train with", "validation": "validate with", "test": "test with"}
    found = {name: int(count.replace(",", "")) for name, count in re.findall(r"(\w+) (\d[\d,]*\d|\d)", stored)}
    return [(purpose, found[name]) for name, purpose in purposes.items() if name in found]


def _test_harness(record: StudyRecord) -> tuple[Block, ...]:
    spec = record.spec
    looked_at = record.looked_at
    which = "its best epoch" if spec.objective.epoch == "best" else "its last epoch"
    return (
        Prose(
            f"Each trial trains at most {counted(spec.max_epochs, 'epoch')} and is judged on the validation data after "
            f"each of them. Its result is {spec.objective.metric} in {which}. The test data are {looked_at}, after the "
            f"search, for the chosen model. The search varied {counted(len(spec.space.flat()), 'parameter')}."
        ),
    )


def _baseline(record: StudyRecord, others: Sequence[StudyRecord]) -> tuple[Block, ...]:
    if others:
        return _figures(record, others, ("best_so_far",))
    return (
        Prose(
            "There is no other study to compare with, so this report cannot say what the search was worth. The "
            "simplest baseline is random search with the same budget: run the study under another name with sampler "
            '= "random" and pruner = "none", and name that study with --against.'
        ),
    )


STYLES: Mapping[str, Callable[[StudyRecord, Sequence[StudyRecord]], Document]] = MappingProxyType(
    {"report": make_report, "writeup": make_writeup}
)
