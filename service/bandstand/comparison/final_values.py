"""What each repeat ended with: a mark for each chosen model, the mean and its interval.

Knows results and conclusions. Must not know the page around it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import plotly.graph_objects as go

from bandstand.comparison.conclusions import Conclusions
from bandstand.comparison.results import Results
from bandstand.comparison.statistics import ConfidenceInterval
from bandstand.report.drawing.axes import row_places, rows_axis
from bandstand.report.drawing.drawing import Drawing
from bandstand.report.drawing.style import BEST_COLOR, STUDY_COLORS, make_figure
from bandstand.report.text import label

__all__ = ["ArmValues", "FinalData", "draw_final_values", "final_data"]

_ROW = 46
_VALIDATION, _TEST = STUDY_COLORS[0], BEST_COLOR


class ArmValues(NamedTuple):
    """One arm; values in the order of its repeats."""

    label: str
    validation: tuple[float, ...]
    test: tuple[float, ...]
    validation_mean: ConfidenceInterval
    test_mean: ConfidenceInterval | None


class FinalData(NamedTuple):
    """The arms that have values, the best on average first."""

    metric: str
    direction: str
    arms: tuple[ArmValues, ...]


def final_data(results: Results, conclusions: Conclusions) -> FinalData | str:
    """The final values, or why there are none."""
    arms = []
    for arm, judged in zip(results.arms, conclusions.arms, strict=True):
        validation = tuple(run.best_value for run in arm.studies if run.best_value is not None)
        test = tuple(run.test_value for run in arm.studies if run.test_value is not None)
        if validation:
            arms.append(ArmValues(arm.label, validation, test, judged.validation, judged.test))
    if not arms:
        return "No study of this comparison has finished with a value yet."
    sign = results.plan.spec.objective.sign
    arms.sort(key=lambda arm: sign * (arm.test_mean or arm.validation_mean).mean)
    objective = results.plan.spec.objective
    return FinalData(objective.metric.removeprefix("val_"), objective.direction, tuple(arms))


def final_figure(data: FinalData) -> go.Figure:
    """A row for each arm, the best at the top; validation above, test below."""
    places = row_places([arm.label for arm in data.arms])
    traces: list[Any] = []
    for kind, color, shift in (("validation", _VALIDATION, 0.17), ("test", _TEST, -0.17)):
        values = [(arm, getattr(arm, kind)) for arm in data.arms if getattr(arm, kind)]
        if not values:
            continue
        marks = [(value, places[arm.label] + shift, arm.label) for arm, found in values for value in found]
        traces.append(
            go.Scatter(
                x=[mark[0] for mark in marks], y=[mark[1] for mark in marks], text=[label(mark[2]) for mark in marks],
                mode="markers", name=f"{kind}, each repeat", legendgroup=kind,
                marker={"color": color, "size": 7, "opacity": 0.45},
                hovertemplate=f"%{{text}}<br>{kind} %{{x:.5g}}<extra></extra>",
            )
        )  # fmt: skip
        means = [(getattr(arm, f"{kind}_mean"), places[arm.label] + shift) for arm, _ in values]
        spread = [mean.high - mean.mean if mean.high == mean.high else 0.0 for mean, _ in means]
        traces.append(
            go.Scatter(
                x=[mean.mean for mean, _ in means], y=[place for _, place in means], mode="markers",
                name=f"{kind}, mean and interval", legendgroup=kind,
                marker={"color": color, "size": 11, "symbol": "diamond"},
                error_x={"type": "data", "array": spread, "color": color, "thickness": 2, "width": 5},
                hovertemplate=f"mean on {kind} data %{{x:.5g}}<extra></extra>",
            )
        )  # fmt: skip
    better = "left" if data.direction == "minimize" else "right"
    return make_figure(
        traces,
        120 + _ROW * len(data.arms),
        xaxis={"title": {"text": label(f"{data.metric} ({better} is better)", 60)}},
        yaxis=rows_axis(places),
        showlegend=True,
    )


def draw_final_values(results: Results, conclusions: Conclusions) -> Drawing | str:
    """The chosen models of all repeats."""
    data = final_data(results, conclusions)
    if isinstance(data, str):
        return data
    tested = any(arm.test for arm in data.arms)
    return Drawing(
        final_figure(data),
        "Each small mark is the chosen model of one repeat, and each diamond is the mean over the repeats with "
        "Student's t interval (95 %). The models were chosen by the validation data"
        + (
            ", and the chosen model was measured once on the test data. If the validation value is better than "
            "the test value, it is too good, because it was chosen as the best of many."
            if tested
            else ". The data have no test split, so nothing shows by how much these values are too good (each was "
            "chosen as the best of many)."
        ),
    )
