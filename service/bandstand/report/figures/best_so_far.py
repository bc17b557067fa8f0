"""Best so far against epochs spent, for this study and others: what was the search worth at an equal budget?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from bandstand.problem.objective import Objective
from bandstand.report.drawing.axes import make_bounds, objective_axis
from bandstand.report.drawing.drawing import Drawing, Table
from bandstand.report.drawing.style import DASHES, STUDY_COLORS, make_figure
from bandstand.report.records.timeline import BestCurve, make_best_curve
from bandstand.report.text import and_list, counted, duration, label, measured, number, shortened
from bandstand.store.records import StudyRecord

__all__ = ["ComparisonData", "StudyLine", "best_so_far_data", "best_so_far_figure", "comparison_table", "draw"]

SETTINGS = ("model", "data", "space", "max_epochs", "batch_size")
"""What must be equal for a difference to be the strategy's doing."""


class StudyLine(NamedTuple):
    """One study."""

    name: str
    strategy: str  # sampler and pruner
    curve: BestCurve
    best_value: float
    test_metrics: dict[str, float] | None
    trials: int
    epochs: int
    train_seconds: float  # of all its trials together
    differs_in: tuple[str, ...] = ()  # settings beyond the strategy in which it differs from the first study


class ComparisonData(NamedTuple):
    """What the figure, the table and the caption show."""

    objective: Objective
    lines: tuple[StudyLine, ...]  # the study of the report first
    left_out: tuple[str, ...]  # a sentence for each study that cannot be compared


def best_so_far_data(record: StudyRecord, others: Sequence[StudyRecord]) -> ComparisonData | str:
    """The studies that can be compared, or why there is no comparison."""
    if not others:
        return "There is no other study to compare with. Random search with the same epochs is a useful baseline."
    if _has_no_value(record):
        return "This study has no value yet, so there is nothing to compare."
    lines, left_out = [_line(record, record)], []
    mine = record.spec.objective
    for other in others:
        theirs = other.spec.objective
        if (theirs.metric, theirs.direction) != (mine.metric, mine.direction):
            left_out.append(
                f"{other.spec.name} is left out because its objective is {theirs.metric} ({theirs.direction})."
            )
        elif _has_no_value(other):
            left_out.append(f"{other.spec.name} is left out because it has no value yet.")
        else:
            lines.append(_line(other, record))
    if len(lines) < 2:
        return "There is no study to compare with. " + " ".join(left_out)
    return ComparisonData(mine, tuple(lines), tuple(left_out))


def _has_no_value(record: StudyRecord) -> bool:
    return record.best is None or not make_best_curve(record).values


def _line(record: StudyRecord, reference: StudyRecord) -> StudyLine:
    curve, spec = make_best_curve(record), record.spec
    return StudyLine(
        name=spec.name,
        strategy=spec.strategy_name,
        curve=curve,
        best_value=curve.values[-1],
        test_metrics=record.best_test_metrics,
        trials=len(record.trials),
        epochs=curve.total,
        train_seconds=float(record.trials["seconds"].sum()),
        differs_in=tuple(name for name in SETTINGS if getattr(spec, name) != getattr(reference.spec, name)),
    )


def best_so_far_figure(data: ComparisonData) -> go.Figure:
    """A stepped line for each study."""
    traces = [_trace(line, index) for index, line in enumerate(data.lines)]
    bounds = make_bounds(_values_after_the_start(data), data.objective.sign)
    return make_figure(
        traces,
        400,
        xaxis={"title": {"text": "epochs trained by the study"}, "rangemode": "tozero"},
        yaxis=objective_axis(data.objective, bounds),
    )


def _values_after_the_start(data: ComparisonData) -> list[float]:
    """The values from a tenth of each study on: its first epochs are far from any interesting difference."""
    values = []
    for line in data.lines:
        first = line.curve.at(line.epochs // 10)
        values += [value for value in line.curve.values if first is None or not data.objective.is_better(first, value)]
    return values


def _trace(line: StudyLine, index: int) -> go.Scatter:
    curve = line.curve
    return go.Scatter(
        x=[*curve.epochs, curve.total],
        y=[*curve.values, curve.values[-1]],
        mode="lines",
        name=f"{label(line.name, 28)} ({label(line.strategy, 24)})",
        line={
            "color": STUDY_COLORS[index % len(STUDY_COLORS)],
            "dash": DASHES[index % len(DASHES)],
            "width": 3 if index == 0 else 2.2,
            "shape": "hv",
        },
        text=[label(line.name)] * (len(curve.epochs) + 1),
        hovertemplate="%{text}<br>%{y:.5g} after %{x} epochs<extra></extra>",
    )


def comparison_table(data: ComparisonData) -> Table:
    """A row per study."""
    tested = list(dict.fromkeys(key for line in data.lines for key in line.test_metrics or {}))
    header = ("Study", "Strategy", f"Best {data.objective.metric}", *[f"Test {key}" for key in tested])
    return Table(
        (*header, "Trials", "Epochs", "Training time"),
        tuple(
            (
                shortened(line.name, 60),
                line.strategy,
                measured(line.best_value),
                *[measured((line.test_metrics or {}).get(key)) for key in tested],
                f"{line.trials:,}",
                f"{line.epochs:,}",
                duration(line.train_seconds),
            )
            for line in data.lines
        ),
    )


def draw(record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
    """The comparison of `record` with `others`."""
    data = best_so_far_data(record, others)
    if isinstance(data, str):
        return data
    return Drawing(best_so_far_figure(data), _caption(data), comparison_table(data))


def _caption(data: ComparisonData) -> str:
    shown = make_bounds(_values_after_the_start(data), data.objective.sign)
    lower = data.objective.direction == "minimize"
    outside = shown and any(shown.clip(value) != value for line in data.lines for value in line.curve.values)
    return " ".join(
        [
            f"Each line is the best value so far of one study ({'lower' if lower else 'higher'} is better).",
            *(["The values of the first epochs are outside the figure."] if outside else []),
            _difference_sentence(data),
            "One run of each strategy cannot show which strategy is better in general, because another seed may change "
            "the order. Use `bandstand compare` with several repeats for that.",
            *_unequal_sentences(data),
            *data.left_out,
        ]
    )


def _difference_sentence(data: ComparisonData) -> str:
    """How far apart the studies were when each had trained as many epochs as the shortest of them."""
    shared = min(line.epochs for line in data.lines)
    mine = data.lines[0].curve.at(shared)
    start = f"After {counted(shared, 'epoch')}, which all studies trained,"
    if mine is None:
        return f"{start} this study had no value yet."
    parts = []
    for line in data.lines[1:]:
        theirs = line.curve.at(shared)
        parts.append(f"{line.name} {_difference(mine, theirs, data.objective)}")
    return f"{start} {data.lines[0].name} had reached {measured(mine)}, {and_list(parts)}."


def _difference(mine: float, theirs: float | None, objective: Objective) -> str:
    if theirs is None:
        return "no value yet"
    if theirs == mine:
        return f"the same value {measured(theirs)}"
    word = "better" if objective.is_better(theirs, mine) else "worse"
    share = f", {number(100 * abs(theirs - mine) / abs(mine), 2)} %" if mine else ""
    return f"{measured(theirs)} ({number(abs(theirs - mine), 2)} {word}{share})"


def _unequal_sentences(data: ComparisonData) -> list[str]:
    """What else than the strategy may explain the difference."""
    sentences = [
        f"{line.name} differs from this study also in {and_list(line.differs_in)}, so the strategy alone does not "
        "explain the difference."
        for line in data.lines[1:]
        if line.differs_in
    ]
    epochs = [line.epochs for line in data.lines]
    if max(epochs) > 1.02 * min(epochs):
        sentences.append("The studies trained different numbers of epochs, as the table shows.")
    return sentences
