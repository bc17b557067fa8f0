"""The parts of a study's report that are not figures: answer, warnings, best configuration, failures, how to rerun.

Knows a record. Must not know in which order the parts stand.
"""

from __future__ import annotations

import shlex

from bandstand.report.content import Block, Bullets, Code, Prose, Sheet
from bandstand.report.curves.diagnosis_rules import describe_rules
from bandstand.report.drawing.drawing import Table
from bandstand.report.findings.answer import answer_from, failures_table, params_json, params_table, settings_sentence
from bandstand.report.spec_as_toml import toml_from
from bandstand.report.text import and_list, counted
from bandstand.store.records import StudyRecord
from bandstand.trials.events import TrialState

__all__ = [
    "answer",
    "best_configuration",
    "diagnosis_rules",
    "failures",
    "how_to_reproduce",
    "notices",
    "replays",
    "settings",
    "trained_with",
    "warnings",
]


def answer(record: StudyRecord) -> tuple[Block, ...]:
    """What the study found, in a paragraph."""
    return (Prose(" ".join(answer_from(record)), "answer"),)


def settings(record: StudyRecord) -> tuple[Block, ...]:
    """How the search was set up, in a line."""
    return (Prose(settings_sentence(record), "quiet"),)


def notices(record: StudyRecord) -> tuple[Block, ...]:
    """What the study said while it ran."""
    return (Bullets("Notes from the run", tuple(record.notices)),) if record.notices else ()


def replays(record: StudyRecord) -> tuple[Block, ...]:
    """What came of training a trial's schedule again, a sentence each."""
    sentences = [replayed.sentence for replayed in record.replays]
    return tuple(Prose(f"{sentence[:1].upper()}{sentence[1:]}.") for sentence in sentences)


def best_configuration(record: StudyRecord) -> tuple[Block, ...]:
    """The best trial's params beside what was searched; nothing where there is no best trial."""
    best = record.best
    if best is None:
        return ()
    model = (Prose(f"Model file: {best.model_path}", "quiet"),) if best.model_path else ()
    return (
        Prose(f"Trial {best.number} ({best.state}) has these params:"),
        Sheet(params_table(record, best), "compact"),
        *model,
        Code("params", params_json(best), "json", "The params with all digits (JSON)"),
    )


def warnings(record: StudyRecord) -> tuple[Block, ...]:
    """What to doubt about the search."""
    from bandstand.report.figures.importances import importances_data
    from bandstand.report.findings.advice import search_warnings

    found = search_warnings(record, importances_data(record)) if len(record.trials) else []
    return (Bullets("What to doubt", tuple(found)),) if found else ()


def diagnosis_rules() -> tuple[Block, ...]:
    """The rules by which curves are diagnosed, folded away."""
    rules = tuple((str(kind), rule) for kind, rule in describe_rules())
    return (
        Sheet(
            Table(("Diagnosis", "If"), rules),
            "",
            "Rules of the diagnosis: the first rule that holds decides. Each percentage is a share of the curve's "
            "smallest error. If the curve improved by less than that error, the percentage is a share of that "
            "improvement",
        ),
    )


def failures(record: StudyRecord) -> tuple[Block, ...]:
    """Failed trials by reason; nothing where none failed."""
    table = failures_table(record)
    failed = int((record.trials["state"] == TrialState.FAILED).sum()) if table else 0
    return (Prose(f"{counted(failed, 'trial')} failed, for these reasons:"), Sheet(table, "messages")) if table else ()


def how_to_reproduce(record: StudyRecord) -> tuple[Block, ...]:
    """The complete study, the command that runs it, and what it was run with."""
    spec = record.spec
    study_file = f"{spec.name}.toml" if "/" not in spec.name else "study.toml"
    try:
        blocks: list[Block] = [
            Prose(f"This is the complete study with all defaults. Save it as {study_file}. If a study of this name "
                  "exists already, change the name."),
            Code("study-file", toml_from(spec), "toml"),
        ]  # fmt: skip
    except ValueError as error:
        blocks = [Prose(f"This study cannot be written as TOML: {error}.", "sentence")]
    modules = sorted({reference.partition(":")[0] for reference in (spec.model, spec.data, *spec.callbacks)})
    return (
        *blocks,
        Prose(f"Run this command in a folder from which Python can import {and_list(modules)}:"),
        Code("command", f"bandstand run {_argument(study_file)} --workers 1", "sh"),
        Prose(_repeats(record), "plain"),
        *trained_with(record),
    )


def _argument(file: str) -> str:
    """As a shell wants it, also where the name begins with a dash."""
    return shlex.quote(f"./{file}" if file.startswith("-") else file)


def _repeats(record: StudyRecord) -> str:
    return (
        f"Seed {record.spec.seed} fixes every random draw. With one worker, the same versions and the same kind of "
        "processor, the study repeats exactly. With more workers the results arrive in another order, and the next "
        "proposals depend on that order."
    )


def trained_with(record: StudyRecord) -> tuple[Block, ...]:
    """Versions and machine of the study's latest run."""
    if not record.environment:
        return (Prose("The versions and the machine of the training were not stored.", "quiet"),)
    hardware = ("platform", "cpus", "gpus", "accelerator")
    known = record.environment
    rows = [(name, known[name]) for name in hardware if name in known]
    rows += [(name, known[name]) for name in sorted(known) if name not in hardware]
    stored = any("data" in name for name in known)
    return (
        Prose("The latest run had these versions and this machine:"),
        Sheet(Table(("Part", "Version or size"), tuple(rows)), "compact"),
        *(
            ()
            if stored
            else (Prose(f"No fingerprint of the data was stored. The data came from {record.spec.data}.", "quiet"),)
        ),
    )
