"""A comparison in sentences and tables, for the terminal, the page, Markdown and programs alike.

Knows conclusions and words. Must not know how they are shown.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from math import floor, isfinite, log10

from bandstand.comparison.conclusions import ArmConclusion, Conclusions, Versus
from bandstand.comparison.results import Results
from bandstand.comparison.statistics import CONFIDENCE, ConfidenceInterval, SpeedUp
from bandstand.report.drawing.drawing import Table
from bandstand.report.text import and_list, counted, duration, measured, number, value_text
from bandstand.strategies.points.fractions import fraction_of
from bandstand.strategies.points.grid_points import affordable_trainings, grid_of, points_per_parameter
from bandstand.study.strategy_choices import StrategyChoice
from bandstand_spaces import Categorical

__all__ = [
    "answer_from",
    "arms_table",
    "baseline_table",
    "best_runs_table",
    "disagreement_sentence",
    "grid_sentences",
    "settings_sentence",
    "state_sentences",
]

_DECIMALS = 7
_FAR = 0.5
"""Part of a parameter's scale."""


def answer_from(results: Results, conclusions: Conclusions) -> list[str]:
    """The answer: what was best and by how much over random and grid, how sure that is, what it cost."""
    if conclusions.leader is None:
        return ["No study of this comparison has finished with a value yet."]
    return [_best_sentence(results, conclusions), *_certainty_sentences(results, conclusions), _cost_sentence(results)]


def _best_sentence(results: Results, conclusions: Conclusions) -> str:
    leader = next(arm for arm in conclusions.arms if arm.label == conclusions.leader)
    metric = results.plan.spec.objective.metric.removeprefix("val_")
    mean = leader.test if conclusions.measure == "test" and leader.test is not None else leader.validation
    words = "is the best" if conclusions.winner else "has the best average"
    start = (
        f"{leader.label} {words}: {metric} {measured(mean.mean)} on the {conclusions.measure} data (mean of "
        f"{counted(leader.runs, 'repeat')})"
    )
    over = [_difference_words(one) for _, family in conclusions.against for one in family if one.arm == leader.label]
    return f"{start}, {and_list(over)}." if over else f"{start}. No other strategy can be compared with it yet."


def _difference_words(versus: Versus) -> str:
    found = versus.found.difference
    if not found.mean:
        return f"equal to {versus.other} search"
    amount = f"{_better_words(found.mean)} than {versus.other} search"
    if not isfinite(found.low):
        return amount
    return f"{amount} (95 % interval: {_better_words(found.low)} to {_better_words(found.high)})"


def _better_words(difference: float) -> str:
    return f"{number(abs(difference), 2)} {'worse' if difference < 0 else 'better'}"


def _certainty_sentences(results: Results, conclusions: Conclusions) -> list[str]:
    over = conclusions.leaders_over()
    if not over:
        return []
    level = [one for one in over if not one.is_better]
    if not level:
        return ["It is significantly better than each of the others (p < .05, corrected for all pairs)."]
    pairs = max(one.found.pairs for one in over)
    least = _least_repeats(len(conclusions.pairs))
    if pairs < least:
        return [
            f"With {counted(pairs, 'repeat')} of {len(results.arms)} strategies, no difference can be shown, however "
            f"large it is; it takes at least {least} repeats.",
            *_needed_sentences(level, least),
        ]
    beaten = [one.other for one in over if one.is_better]
    better = f"It is significantly better than {and_list(beaten)}. " if beaten else ""
    others = and_list([one.other for one in level])
    return [
        f"{better}No difference to {others} can be shown with {counted(pairs, 'repeat')}.",
        *_needed_sentences(level, pairs),
    ]


def _least_repeats(tests: int) -> int:
    """With which the permutation test can show anything at all, corrected for so many tests."""
    return next(count for count in range(2, 99) if 2 / 2**count * tests < 1 - CONFIDENCE)


def _needed_sentences(level: Sequence[Versus], least: int) -> list[str]:
    """How many repeats would tell the leader from the one that comes next."""
    nearest = level[0]
    if nearest.needed is None:
        return [f"The difference to {nearest.other} is too small to say how many repeats would show it."]
    if nearest.needed <= least:
        return []
    return [f"To show a difference to {nearest.other} as large as the one found takes about {nearest.needed} repeats."]


def _cost_sentence(results: Results) -> str:
    runs = [run for arm in results.arms for run in (*arm.studies, *arm.failed)]
    reused = len(results.plan.taken)
    epochs = sum(run.epochs for run in runs)
    more = f" The comparison took over {counted(reused, 'earlier study', 'earlier studies')}." if reused else ""
    return (
        f"Each study had a budget of {results.plan.spec.budget}. All {counted(len(runs), 'study', 'studies')} together "
        f"trained {counted(epochs, 'epoch')} in {duration(sum(run.train_seconds for run in runs))} of training.{more}"
    )


def state_sentences(results: Results) -> list[str]:
    """What is not as it should be: studies that are missing or failed, data that changed."""
    sentences = []
    missing = sum(arm.missing for arm in results.arms)
    if missing:
        total = len(results.plan.studies())
        sentences.append(
            f"{missing} of {counted(total, 'study', 'studies')} have not ended, so these results may change. "
            f"`bandstand compare {shlex.quote(results.plan.name)}` continues the comparison."
        )
    for arm in results.arms:
        if arm.failed:
            sentences.append(
                f"{counted(len(arm.failed), 'study', 'studies')} of {arm.label} failed "
                f"({arm.failed[0].reason or 'no trial had a value'}), so the results leave them out."
            )
    return [*sentences, *_sentences_on_data(results)]


def _sentences_on_data(results: Results) -> list[str]:
    """That studies did not train on the same data: within a repeat, or only from one repeat to the next."""
    runs = [run for arm in results.arms for run in arm.studies if run.data]
    prints = {run.data for run in runs}
    if len(prints) < 2:
        return []
    if len({(run.repeat, run.data) for run in runs}) == len({run.repeat for run in runs}):
        return [
            "Each repeat has its own data, drawn with its seed, and all strategies of a repeat have the same data. So "
            "the data, too, make repeats differ."
        ]
    return [
        f"The studies did not train on the same data: there are {len(prints)} different fingerprints. The data may "
        "explain differences between strategies."
    ]


def grid_sentences(results: Results) -> list[str]:
    """Which grid the budget afforded."""
    return [_grid_sentence(results, arm) for arm in results.plan.arms if arm.sampler == "grid"]


def _grid_sentence(results: Results, arm: StrategyChoice) -> str:
    spec = arm.apply(results.plan.spec)
    size = grid_of(spec).size or 0
    points = ", ".join(f"{name} {count}" for name, count in points_per_parameter(spec).items())
    trained = max((run.trials for run in results.arm(arm.label).studies), default=size)
    name = "Grid search" if arm.label == "grid" else arm.label
    start = f"{name} has {counted(size, 'point')} (values per parameter: {points})"
    if trained < size:
        return f"{start}. The budget trained {trained} of them."
    full = affordable_trainings(spec)
    if full is not None and full < size:
        return f"{start}. The budget can train {full or 'none'} of them in full."
    if full is not None and arm.sampler_options.get("points") == "auto":
        return f"{start}. This is the finest grid that the budget can train in full."
    return f"{start}."


def settings_sentence(results: Results) -> str:
    """How the comparison was set up."""
    plan, spec = results.plan, results.plan.spec
    seeds = f"seeds {spec.seed} to {spec.seed + plan.repeats - 1}" if plan.repeats > 1 else f"seed {spec.seed}"
    return (
        f"{len(plan.arms)} strategies, {counted(plan.repeats, 'repeat')} ({seeds}, the same for all), "
        f"budget {spec.budget} each, at most {counted(spec.max_epochs, 'epoch')} a trial. Objective "
        f"{spec.objective.metric} ({spec.objective.better}). Model {spec.model}, data {spec.data}."
    )


def interval_text(interval: ConfidenceInterval | None) -> str:
    """`.9812 ± .0021`; a dash where there is none."""
    if interval is None or not isfinite(interval.mean):
        return "–"
    half = interval.high - interval.mean
    if isfinite(half) and half > 0:
        decimals = max(0, 1 - floor(log10(half)))  # two digits of what is uncertain
        if decimals <= _DECIMALS:
            return f"{interval.mean:.{decimals}f}\u00a0±\u00a0{half:.{decimals}f}"
    text = measured(interval.mean)
    return text + (f" ± {number(half, 2)}" if isfinite(half) else "")


def arms_table(results: Results, conclusions: Conclusions) -> Table:
    """A row for each arm, the best on average first."""
    tested = any(arm.test is not None for arm in conclusions.arms)
    metric = results.plan.spec.objective.metric
    header = ["Strategy", f"Best {metric}"]
    if tested:
        header += [f"Test {metric.removeprefix('val_')}", "Gap"]
    header += ["Mean rank", "Repeats", "Trials", "Epochs", "Training time"]
    rows = [_arm_row(arm, tested) for arm in _ordered(results, conclusions)]
    return Table(tuple(header), tuple(rows))


def _ordered(results: Results, conclusions: Conclusions) -> list[ArmConclusion]:
    sign = results.plan.spec.objective.sign

    def loss(arm: ArmConclusion) -> float:
        mean = arm.test if conclusions.measure == "test" and arm.test is not None else arm.validation
        return sign * mean.mean if arm.runs else float("inf")

    return sorted(conclusions.arms, key=loss)


def _arm_row(arm: ArmConclusion, tested: bool) -> tuple[str, ...]:
    if not arm.runs:
        why = "failed" if arm.failed and not arm.missing else "not yet"
        return (arm.label, why, *(["–", "–"] if tested else []), "–", "0", "–", "–", "–")
    values = [interval_text(arm.validation)]
    if tested:
        values += [interval_text(arm.test), interval_text(arm.gap)]
    states = "".join(f", {count} {word}" for count, word in ((arm.failed, "failed"), (arm.missing, "to come")) if count)
    return (
        arm.label, *values, number(arm.rank, 2), f"{arm.runs}{states}", number(arm.trials, 3), f"{arm.epochs:,.0f}",
        duration(arm.train_seconds),
    )  # fmt: skip


def baseline_table(family: Sequence[Versus], measure: str) -> Table:
    """A row for each arm against one baseline."""
    return Table(
        ("Strategy", f"Difference ({measure})", "p (Holm)", "Effect size", "Repeats needed", "Wins", "Speed-up"),
        tuple(
            (
                one.arm,
                _difference_cell(one),
                f"{one.p:.2g}",
                number(one.found.effect, 2) if isfinite(one.found.effect) else "–",
                "enough" if one.is_better or one.is_worse else f"about {one.needed}" if one.needed else "not known",
                f"{one.wins:.0%}",
                speed_up_text(one.speed_up),
            )
            for one in family
        ),
    )


def _difference_cell(versus: Versus) -> str:
    found = versus.found.difference
    words = "better" if versus.is_better else "worse" if versus.is_worse else "not shown"
    if not isfinite(found.low):
        return f"{found.mean:+.2g}"
    return f"{found.mean:+.2g} ({found.low:+.2g} to {found.high:+.2g}), {words}"


def speed_up_text(found: SpeedUp) -> str:
    """`3.1× (1.8× to 4×)`; `not reached` where it was not, never a number."""
    if found.repeats == 0:
        return "–"
    if found.ratio is None and not found.reached:
        return "not reached"
    some = f", reached in {found.reached} of {found.repeats} repeats" if found.reached < found.repeats else ""
    if found.ratio is None:
        return some.removeprefix(", ")
    if found.low is not None and not isfinite(found.low):
        return f"{found.ratio:.2g}×"
    low, high = ("not reached" if end is None else f"{end:.2g}×" for end in (found.low, found.high))
    return f"{found.ratio:.2g}× ({low} to {high}){some}"


def best_runs_table(results: Results, label: str) -> Table:
    """What each repeat of an arm chose: do the seeds agree?"""
    arm = results.arm(label)
    metric = results.plan.spec.objective.metric
    names = [name for name, _, _ in results.plan.spec.space.flat()]
    return Table(
        ("Repeat", metric, *(["Test"] if any(run.test_value is not None for run in arm.studies) else []), *names),
        tuple(
            (
                str(run.repeat + 1),
                measured(run.best_value),
                *([measured(run.test_value)] if any(one.test_value is not None for one in arm.studies) else []),
                *(_value(run.best_params.get(name)) for name in names),
            )
            for run in arm.studies
        ),
    )


def disagreement_sentence(results: Results, label: str) -> str:
    """In which parameters an arm's repeats chose values more than half of the range apart; empty where in none."""
    chosen = [run.best_params for run in results.arm(label).studies]
    far = []
    for name, parameter, _ in results.plan.spec.space.flat():
        values = [params[name] for params in chosen if params.get(name) is not None]
        if len(values) < 2:
            continue
        if isinstance(parameter, Categorical):
            if len(set(map(str, values))) > 1:
                far.append(f"{name} ({and_list(list(dict.fromkeys(map(str, values))))})")
            continue
        places = [fraction_of(parameter, value) for value in values]
        if max(places) - min(places) > _FAR:
            far.append(f"{name} ({value_text(min(values))} to {value_text(max(values))})")
    if not far:
        return ""
    return (
        f"The repeats chose different values of {and_list(far)}. If the values of the objective are equally good, "
        "these parameters matter little or have several good values. Otherwise the budget was too small to find the "
        "best one reliably."
    )


def _value(value: object) -> str:
    return "–" if value is None else number(value, 3) if isinstance(value, float) else str(value)
