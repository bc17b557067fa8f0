"""Parameter importance: how much of the variation of the objective each parameter explains, by Optuna's fANOVA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import plotly.graph_objects as go

from bandstand.report.drawing.axes import make_bounds
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.drawing.sampling import sample_evenly
from bandstand.report.drawing.style import STUDY_COLORS, make_figure
from bandstand.report.records.params import condition_text, params_by_trial
from bandstand.report.records.timeline import values_of
from bandstand.report.text import and_list, counted, label
from bandstand.store.records import StudyRecord
from bandstand.trials.events import RESULT_STATES, TrialState
from bandstand_spaces import Value

if TYPE_CHECKING:
    import optuna


__all__ = ["ImportanceData", "comparable_values", "draw", "importances_data", "importances_figure"]

MIN_TRIALS = 8
FEW_TRIALS = 30
MAX_TRIALS = 300


class ImportanceData(NamedTuple):
    """What the figure shows."""

    shares: tuple[tuple[str, float], ...]  # parameter and its share of 1, the largest first
    left_out: tuple[tuple[str, str], ...]  # parameter and why
    trials: int  # that the shares come from
    available: int  # more than trials where those are a sample
    epoch: int | None  # the epoch whose values were compared; None: the results of completed trials
    metric: str


def comparable_values(record: StudyRecord) -> tuple[int | None, dict[int, float]]:
    """Values that can be compared: (epoch, trial -> value), epoch None where they are the completed trials' results.

    A pruned trial's result is that of a short training, so it does not belong beside a completed one's. Where too few
    trials are complete, or less than half of those with a value, all are compared after the same number of epochs
    instead: the latest epoch that at least half of them (and no fewer than `MIN_TRIALS`) have a value for.
    """
    trials = record.trials.assign(value=values_of(record.trials))
    ended = trials[trials["state"].isin(RESULT_STATES) & trials["value"].notna()]
    complete = ended[ended["state"] == TrialState.COMPLETE]
    results = {int(trial): float(value) for trial, value in zip(complete["number"], complete["value"], strict=True)}
    if len(results) >= MIN_TRIALS and 2 * len(results) >= len(ended):
        return None, results
    measured = record.measurements.assign(value=values_of(record.measurements)).dropna(subset=["value"])
    measured = measured[measured["trial"].isin(ended["number"])]
    reached = measured.groupby("epoch")["trial"].count()
    epochs = [int(epoch) for epoch, count in reached.items() if count >= MIN_TRIALS and 2 * count >= len(ended)]  # type: ignore[call-overload]
    if not epochs:
        return None, results
    row = measured[measured["epoch"] == max(epochs)]
    return max(epochs), {int(trial): float(value) for trial, value in zip(row["trial"], row["value"], strict=True)}


_TOLD: WeakKeyDictionary[StudyRecord, ImportanceData | str] = WeakKeyDictionary()


def importances_data(record: StudyRecord) -> ImportanceData | str:
    """The shares, or why there are none. They take seconds, and several parts of a report ask for them."""
    if record not in _TOLD:
        _TOLD[record] = _importances_of(record)
    return _TOLD[record]


def _importances_of(record: StudyRecord) -> ImportanceData | str:
    epoch, values = comparable_values(record)
    if len(values) < MIN_TRIALS:
        return (
            f"Importance needs at least {MIN_TRIALS} trials with comparable values. So far "
            f"{counted(len(values), 'trial')} {'has' if len(values) == 1 else 'have'} one."
        )
    if len(set(values.values())) == 1:
        return f"All {counted(len(values), 'trial')} have the same value, so no parameter made a difference."
    params = params_by_trial(record)
    used, left_out = _usable_parameters(record, [params[trial] for trial in values])
    if len(used) < 2:
        return "Importance compares parameters, and fewer than two parameters vary in every trial."
    kept = sample_evenly(sorted(values), MAX_TRIALS)
    bounds = make_bounds(values.values(), record.spec.objective.sign)
    clipped = {trial: bounds.clip(values[trial]) if bounds else values[trial] for trial in kept}
    shares = _shares(record, used, {trial: params[trial] for trial in kept}, clipped)
    return ImportanceData(shares, left_out, len(kept), len(values), epoch, record.spec.objective.metric)


def _usable_parameters(
    record: StudyRecord, params: Sequence[Mapping[str, Value]]
) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """The parameters that every trial has and that vary, and the others with the reason."""
    used, left_out = [], []
    for name, _, condition in record.spec.space.flat():
        if condition:
            left_out.append((name, f"only with {condition_text(condition)}"))
        elif len({values[name] for values in params}) < 2:
            left_out.append((name, "always the same"))
        else:
            used.append(name)
    return used, tuple(left_out)


def _shares(
    record: StudyRecord, names: Sequence[str], params: Mapping[int, Mapping[str, Value]], values: Mapping[int, float]
) -> tuple[tuple[str, float], ...]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.trial import create_trial

    distributions = {name: record.spec.space.distributions()[name] for name in names}
    with _quiet_optuna():
        study: optuna.Study = optuna.create_study(direction=record.spec.objective.direction)
        study.add_trials(
            create_trial(params={name: params[trial][name] for name in names}, distributions=distributions, value=value)
            for trial, value in values.items()
        )
        shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return tuple(sorted(((name, float(share)) for name, share in shares.items()), key=lambda pair: -pair[1]))


@contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keeps Optuna from announcing the study in memory on the user's terminal."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def importances_figure(data: ImportanceData) -> go.Figure:
    """A bar for each parameter, the largest above."""
    rows = list(range(len(data.shares)))
    bars = go.Bar(
        x=[share for _, share in data.shares],
        y=rows,
        orientation="h",
        marker={"color": STUDY_COLORS[0]},
        text=[f"{share:.0%}" if share >= 0.005 else "under 1%" for _, share in data.shares],
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{label(name)}: {share:.1%}" for name, share in data.shares],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    return make_figure(
        [bars],
        90 + 34 * len(rows),
        xaxis={
            "title": {"text": "share of the variation"},
            "tickformat": ".0%",
            "range": [0, max(share for _, share in data.shares) * 1.15],
        },
        yaxis={
            "tickvals": rows,
            "ticktext": [label(name, 24) for name, _ in data.shares],
            "autorange": "reversed",
            "showgrid": False,
        },
    )


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The importances in `record`; `others` play no part in it."""
    data = importances_data(record)
    return data if isinstance(data, str) else Drawing(importances_figure(data), _caption(data))


def _caption(data: ImportanceData) -> str:
    if data.epoch is None:
        values = f"the values of {counted(data.trials, 'completed trial')}"
    else:
        values = f"the values of {counted(data.trials, 'trial')} after epoch {data.epoch}"
    parts = [
        "The bars show how much of the differences between trials each parameter explains. They are computed by "
        f"fANOVA, as in Optuna, from {values}."
    ]
    if data.epoch is not None:
        parts.append("Pruned trials are included, so all values are taken after the same number of epochs.")
    if data.epoch is not None and data.epoch <= 3:
        parts.append("This is the importance early in training, where the learning rate often matters more than later.")
    if data.trials < data.available:
        parts.append(f"These trials are an even sample of {data.available:,}.")
    if data.trials < FEW_TRIALS:
        parts.append("With so few trials the shares are only a hint, and another run may order them differently.")
    if data.left_out:
        listed = and_list([f"{name} ({why})" for name, why in data.left_out])
        parts.append(f"The figure leaves out {listed}.")
    return " ".join(parts)
