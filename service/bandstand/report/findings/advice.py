"""What to doubt about a search, in plain sentences: the best value on a border, a budget too small for the strategy.

Knows a study's record and how importance is told. Must not know pages or figures.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bandstand.report.figures.importances import FEW_TRIALS, ImportanceData
from bandstand.report.findings.range_ends import range_end_of
from bandstand.report.records.params import params_by_trial
from bandstand.report.records.timeline import ranked_trials, values_of
from bandstand.report.text import and_list, counted, measured, number, value_text
from bandstand.store.records import StudyRecord
from bandstand.strategies import facts_of, make_strategy
from bandstand.trials.events import FINAL_STATES, RESULT_STATES, TrialState
from bandstand_spaces import Categorical, Value

__all__ = ["search_warnings"]

UNIMPORTANT = 0.02
"""Share of the variation below which a parameter is said not to have mattered."""
LOG_RATIO = 100.0
"""A linear range that spans more than this factor wants a logarithm."""
CROWDED = 0.1
"""Share of a linear range; where all of the best tenth lie in so much of it at the low end, it wants a logarithm."""
CROWD = 5
"""Fewer trials in the best tenth say nothing."""
EXAMPLES = 3


def search_warnings(record: StudyRecord, importance: ImportanceData | str) -> list[str]:
    """What a reader should doubt, a sentence or two each, the weightiest first; empty where there is nothing.

    Args:
        record: the study.
        importance: as from `importances_data`, or the sentence that says why there is none.
    """
    return [
        *_nothing_completed(record),
        *_too_small(record),
        *_on_the_border(record),
        *_wants_a_logarithm(record),
        *_never_mattered(importance),
        *_disagreeing_repeats(record),
        *_failed_cells(record),
    ]


def _is_over(record: StudyRecord) -> bool:
    return record.state in ("finished", "failed")


def _nothing_completed(record: StudyRecord) -> Iterator[str]:
    trials = record.trials
    if _is_over(record) and len(trials) and not (trials["state"] == TrialState.COMPLETE).any():
        yield (
            f"No trial was completed: none trained all its {counted(record.spec.max_epochs, 'epoch')}. The best trial "
            f"is only the best of the short trainings. Raise the budget ({record.budget}) or lower max_epochs."
        )


def _too_small(record: StudyRecord) -> Iterator[str]:
    """Budgets that end before the strategy has begun to do what it is chosen for."""
    spec, trials, facts = record.spec, record.trials, facts_of(record.spec)
    if not _is_over(record) or not len(trials):
        return
    ended = int(values_of(trials[trials["state"].isin(RESULT_STATES)]).notna().sum())
    startup, factor = facts.draws_at_random_first, facts.reduction_factor
    if startup and (len(trials) <= startup or ended < startup):
        yield (
            f"The budget is too small for the sampler {spec.sampler}. It draws at random until {startup} trials have "
            f"a value. In this study {ended} of {counted(len(trials), 'trial')} have one, so this was a random search."
        )
    if factor is not None:
        rungs = make_strategy(spec).ask_epochs()[:-1]
        if not rungs:
            return
        second = rungs[min(1, len(rungs) - 1)]
        reached = int((trials["epochs"] >= second).sum())
        if reached < factor:
            yield (
                f"The budget is too small for {spec.pruner or spec.sampler}. Only {counted(reached, 'trial')} reached "
                f"its {'second' if len(rungs) > 1 else 'only'} rung, epoch {second}. One in {factor} goes on from a "
                "rung, so the study could hardly choose there. Raise the budget of epochs or lower max_epochs."
            )


def _on_the_border(record: StudyRecord) -> Iterator[str]:
    best = record.best
    if best is None or record.best_ancestors:  # where a schedule ends says little of where the range should
        return
    for name, parameter, _ in record.spec.space.flat():
        border = range_end_of(parameter, best.params[name]) if name in best.params else None
        if border is None:
            continue
        where = f"The best value of {name} ({value_text(best.params[name])}) is at the {border.end} end of its range"
        if border.wider:
            yield f"{where}, so better values may lie beyond it. Try {border.wider}."
        elif best.params[name] == 0:
            yield f"{where}, so the model may do without it."


def _wants_a_logarithm(record: StudyRecord) -> Iterator[str]:
    params = params_by_trial(record)
    top = _best_tenth(record)
    for name, parameter, _ in record.spec.space.flat():
        if isinstance(parameter, Categorical) or parameter.log or (parameter.step is not None and parameter.step != 1):
            continue
        low, high = float(parameter.low), float(parameter.high)
        if low > 0 and high / low >= LOG_RATIO:
            yield (
                f"{name} is searched on a linear scale from {number(low)} to {number(high)}, so nine in ten draws lie "
                f"above {number(low + 0.1 * (high - low))}. With log = true, small values are searched as closely as "
                "large ones."
            )
            continue
        crowd = [float(params[trial][name]) for trial in top if name in params[trial]]
        if len(crowd) < CROWD or (parameter.size or 99) <= 2 * CROWD:
            continue
        if low >= 0 and low < max(crowd) <= low + CROWDED * (high - low):
            smallest = min(value for value in crowd if value > 0)
            yield (
                f"In the {len(crowd)} best trials, {name} is at most {number(max(crowd))}, in the lowest tenth of its "
                f"range. A logarithmic range from {number(smallest / 10)} searches there more closely."
            )


def _best_tenth(record: StudyRecord) -> list[int]:
    trials = record.trials
    ended = trials[trials["state"].isin(RESULT_STATES)]
    rows = zip(ended["number"], values_of(ended), strict=True)
    values = {int(trial): float(value) for trial, value in rows if not np.isnan(value)}
    return ranked_trials(record, values)[: len(values) // 10]


def _never_mattered(importance: ImportanceData | str) -> Iterator[str]:
    if isinstance(importance, str) or importance.trials < FEW_TRIALS:
        return
    idle = [name for name, share in importance.shares if share < UNIMPORTANT]
    if idle and len(idle) < len(importance.shares):
        yield (
            f"{and_list(idle)} hardly mattered: {'it explains' if len(idle) == 1 else 'each explains'} less than "
            f"{UNIMPORTANT:.0%} of the differences between {counted(importance.trials, 'trial')}. A fixed value "
            "saves trials."
        )


def _disagreeing_repeats(record: StudyRecord) -> Iterator[str]:
    """Where params were trained more than once, whether their values differ by more than the best leads the next.

    A trial that went on from another one is no repeat: it began from other weights.
    """
    params, trials = params_by_trial(record), record.trials
    complete = trials[(trials["state"] == TrialState.COMPLETE) & values_of(trials).notna() & trials["parent"].isna()]
    groups: dict[tuple[tuple[str, Value], ...], list[float]] = {}
    for trial, value in zip(complete["number"], values_of(complete), strict=True):
        groups.setdefault(tuple(params[int(trial)].items()), []).append(float(record.spec.objective.sign * value))
    repeated = [losses for losses in groups.values() if len(losses) > 1]
    if not repeated or len(groups) < 2:
        return
    spread = float(np.sqrt(np.mean([np.var(losses, ddof=1) for losses in repeated])))
    first, second = sorted(float(np.mean(losses)) for losses in groups.values())[:2]
    if 2 * spread > second - first:
        yield (
            f"Trials with the same params differ by {measured(spread)} (standard deviation of "
            f"{counted(sum(map(len, repeated)), 'trial')}). The best params lead the next ones by only "
            f"{measured(second - first)}, so it is not certain which of them are the best."
        )


def _failed_cells(record: StudyRecord) -> Iterator[str]:
    if facts_of(record.spec).points is None:
        return
    params, trials = params_by_trial(record), record.trials
    cells = {
        state: {tuple(params[int(trial)].items()) for trial in trials.loc[trials["state"] == state, "number"]}
        for state in FINAL_STATES
    }
    failed = cells[TrialState.FAILED] - cells[TrialState.COMPLETE] - cells[TrialState.PRUNED]
    if failed:
        shown = sorted(", ".join(f"{name} {value_text(value)}" for name, value in cell) for cell in failed)
        more = f" and {len(shown) - EXAMPLES:,} more" if len(shown) > EXAMPLES else ""
        size = len(set.union(*cells.values()))
        yield (
            f"{len(failed):,} of {counted(size, 'point')} of the grid failed ({'; '.join(shown[:EXAMPLES])}{more}), so "
            "their values are not known."
        )
