"""What a study found and what it cost, in sentences and tables.

All of it is plain text; the page escapes it.
"""

from __future__ import annotations

import json

from bandstand.report.drawing.drawing import Table
from bandstand.report.findings.failure_groups import failure_groups
from bandstand.report.findings.range_ends import range_end_of
from bandstand.report.records.params import condition_text
from bandstand.report.text import and_list, counted, duration, measured, shortened, value_text
from bandstand.store.records import StudyRecord
from bandstand.trials.best import BestTrial
from bandstand.trials.events import FINAL_STATES, TrialState
from bandstand_spaces import Categorical, Parameter, Value

__all__ = ["answer_from", "failures_table", "params_json", "params_table", "remark_for_optuna", "settings_sentence"]

MESSAGE_LIMIT = 400
MAX_FAILURE_ROWS = 20
_FATES: dict[str, str] = {
    TrialState.PRUNED: (
        " It was pruned later because other trials looked more promising. Its best epoch still counts."
    ),
    TrialState.FAILED: " It failed later. Its best epoch still counts.",
    TrialState.PAUSED: " It is paused.",
    TrialState.WAITING: " It waits for a free trainer.",
    TrialState.RUNNING: " It is still training.",
}
"""By state, what became of the best trial, where it was not completed."""


def answer_from(record: StudyRecord) -> list[str]:
    """The answer in a few sentences: what was best, on the test set too, what it cost, how the study stands."""
    sentences = [_best_sentence(record), *_model_sentences(record), _cost_sentence(record), _state_sentence(record)]
    return [sentence for sentence in sentences if sentence]


def remark_for_optuna(record: StudyRecord) -> list[str]:
    """For readers of the study in Optuna, which has a best trial of its own: why it may be another one."""
    if record.best is None or record.best.state == TrialState.COMPLETE:
        return []
    return [
        "Optuna shows another best trial because it counts only complete trials. The study's user attribute "
        "bandstand:best names the trial above."
    ]


def _best_sentence(record: StudyRecord) -> str:
    best, metric = record.best, record.spec.objective.metric
    if best is None:
        return f"No trial has a usable {metric}" + (" yet." if record.state != "failed" else ".")
    objective = record.spec.objective
    words = (
        f"Trial {best.number} is the best: {metric} {measured(best.value)} ({objective.better}) in epoch {best.epoch}"
    )
    words += f" of {best.epochs}." if best.epochs != best.epoch else ", its last epoch."
    if best.seen is not None:
        words += (
            f" The {objective.best_word} value of any epoch is {measured(best.seen.value)}, in epoch {best.seen.epoch} "
            f"of trial {best.seen.number} ({best.seen.state}). It does not count because objective.epoch = 'last' "
            "takes the last epoch of each trial."
        )
    if record.best_ancestors:
        before = and_list([str(number) for number in record.best_ancestors])
        words += (
            f" Its weights come from {'trials' if len(record.best_ancestors) > 1 else 'trial'} {before}, which had "
            "other params. Its schedule shows the params of each epoch."
        )
    if objective.epoch == "last" and best.state == TrialState.PRUNED:
        return f"{words} It was pruned. No trial was completed, so it is the best of the short trainings."
    return words + _FATES.get(best.state, "")


def _model_sentences(record: StudyRecord) -> list[str]:
    if record.best is None:
        return []
    sentences, model = [], "its model"
    if record.best.model_words:
        sentences.append(f"{record.best.model_words[0].upper()}{record.best.model_words[1:]}.")
        model = record.tested_model if record.test_metrics else model
    if record.combined is not None and record.combined.taken:
        model = f"the {record.combined.how}"
        sentences.append(
            f"The study's model is the {record.combined.how} of the last weights of trials "
            f"{and_list([str(number) for number in record.combined.trials])}: {record.spec.objective.metric} "
            f"{measured(record.combined.value)} on validation data."
        )
    if not record.test_metrics and record.best.model_words:
        return sentences
    if not record.test_metrics and record.has_test is False:
        return [*sentences, f"The data have no test split, so {model} was not measured on unseen data."]
    if not record.test_metrics:
        return [*sentences, f"{model[0].upper()}{model[1:]} was not measured on the test data."]
    reached = and_list([f"{name} {measured(value)}" for name, value in record.test_metrics.items()])
    return [*sentences, f"On the test data ({record.looked_at}), {model} reached {reached}."]


def _cost_sentence(record: StudyRecord) -> str:
    trials = record.trials
    epochs = int(trials["epochs"].sum()) if len(trials) else 0
    counts = {str(state): int((trials["state"] == state).sum()) for state in FINAL_STATES}
    counts["not ended"] = len(trials) - sum(counts.values())
    fates = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    parts = [f"{counted(epochs, 'epoch')} in {counted(len(trials), 'trial')}" + (f" ({fates})" if fates else "")]
    parts.append(duration(record.wall_seconds))
    if record.gpu_seconds > 0:
        parts.append(f"{record.gpu_seconds / 3600:.2g} GPU hours")
    so_far = record.state in ("running", "interrupted", "stopped")
    return f"The search has cost {and_list(parts)} so far." if so_far else f"The search cost {and_list(parts)}."


def _state_sentence(record: StudyRecord) -> str:
    match record.state:
        case "finished":
            return f"The study is finished: {record.reason or 'nothing was left to do'}."
        case "failed":
            return f"The study failed: {record.reason or 'no reason was given'}."
        case "running":
            return "The study is still running, so these results may change."
        case "stopped":
            if record.reason:
                return f"The study was stopped: {record.reason}."
            return "The study was stopped before it was done. To continue it, run it again."
        case "interrupted":
            return "The study was interrupted, and no process is running it now. To continue it, run it again."
        case state:
            return f"The study is {state}."


def settings_sentence(record: StudyRecord) -> str:
    """How the search was set up, in a line."""
    spec = record.spec
    return (
        f"Strategy {spec.strategy_name}, at most {counted(spec.max_epochs, 'epoch')} a trial, "
        f"budget {record.budget}, seed {spec.seed}. Model {spec.model}, data {spec.data}. "
        f"Created {record.created_at:%Y-%m-%d %H:%M %Z}".rstrip()
        + "."
    )


def params_table(record: StudyRecord, best: BestTrial) -> Table:
    """The best trial's params beside what was searched."""
    rows = []
    for name, parameter, condition in record.spec.space.flat():
        if name in best.params:
            value = best.params[name]
            edge = "" if record.best_ancestors else _edge_text(parameter, value)
            rows.append((name, value_text(value), _range_text(parameter) + edge))
        else:
            rows.append((name, "–", f"not active (it exists only with {condition_text(condition)})"))
    return Table(("Parameter", "Best trial", "Searched"), tuple(rows))


def _range_text(parameter: Parameter) -> str:
    if isinstance(parameter, Categorical):
        return ", ".join(str(choice) for choice in parameter.choices)
    step = "" if parameter.step in (None, 1) else f" in steps of {value_text(parameter.step)}"
    return f"{value_text(parameter.low)} to {value_text(parameter.high)}{', logarithmic' if parameter.log else step}"


def _edge_text(parameter: Parameter, value: Value) -> str:
    """A hint where the best value lies at an end of its range and there can be values beyond."""
    border = range_end_of(parameter, value)
    return f" (the best is at the {border.end} end; better values may lie beyond it)" if border and border.wider else ""


def params_json(best: BestTrial) -> str:
    """The best trial's params with every digit."""
    return json.dumps(best.params, indent=2, ensure_ascii=False)


def failures_table(record: StudyRecord) -> Table | None:
    """Failed trials by reason and message, the most frequent first; None where none failed."""
    groups = failure_groups(record)
    if not groups:
        return None
    rows = [
        (
            group.reason.replace("_", " ") or "none given",
            shortened(group.words, MESSAGE_LIMIT) or "–",
            _numbers(list(group.trials)),
            group.advice or "–",
        )
        for group in groups[:MAX_FAILURE_ROWS]
    ]
    rest = groups[MAX_FAILURE_ROWS:]
    if rest:
        trials = sum(len(group.trials) for group in rest)
        rows.append((f"{counted(len(rest), 'other message')}", "–", counted(trials, "trial"), "–"))
    advised = any(group.advice for group in groups)
    header = ("Reason", "Message", "Trials", "What to do")
    return Table(header, tuple(rows)) if advised else Table(header[:3], tuple(row[:3] for row in rows))


def _numbers(trials: list[int]) -> str:
    """`3 (trials 4, 7 and 9)`, with an end to long lists."""
    few = [str(trial) for trial in trials[:5]]
    more = [f"{len(trials) - 5:,} more"] if len(trials) > 5 else []
    return f"{len(trials):,} ({'trial' if len(trials) == 1 else 'trials'} {and_list([*few, *more])})"
