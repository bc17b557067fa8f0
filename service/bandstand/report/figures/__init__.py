"""The figures of a report, a file each in two halves.

The data half computes a frozen tuple of numbers from a `StudyRecord`, or the sentence that says why there is nothing to
draw; it is tested on numbers. The figure half makes a plotly figure from those numbers alone. `draw` joins the two and
adds the caption that says what to see, which trials are in it, and what was left out.

`REPORTS` names the figures in the order of the page. To add one: a file here with `draw(record, others) -> Drawing |
str`, and a line in `REPORTS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import cast

from bandstand.report.drawing.drawing import Drawing
from bandstand.store.records import StudyRecord

__all__ = ["REPORTS", "Report"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One figure that can be made of a study."""

    title: str
    needs: str
    """What a study must have for the figure to say anything."""
    module: str
    """The file of `figures` that draws it."""

    def draw(self, record: StudyRecord, others: Sequence[StudyRecord] = ()) -> Drawing | str:
        """The figure of `record`, or the sentence that says why there is none; `others` are compared with it."""
        module = import_module(f"bandstand.report.figures.{self.module}")
        return cast("Drawing | str", module.draw(record, others))


REPORTS: Mapping[str, Report] = MappingProxyType(
    {
        "best_so_far": Report(title="Compared with other studies", needs="another study", module="best_so_far"),
        "history": Report(title="Optimization history", needs="two ended trials", module="history"),
        "importances": Report(title="Parameter importance", needs="eight comparable trials", module="importances"),
        "slices": Report(title="Effect of each parameter", needs="two trials with a value", module="slices"),
        "contour": Report(title="The two most important parameters", needs="eight comparable trials", module="contour"),
        "parallel_coordinates": Report(
            title="Parameters and values of all trials", needs="two trials with a value", module="parallel_coordinates"
        ),
        "train_validation": Report(
            title="Training and validation of the best trial", needs="the training metric", module="train_validation"
        ),
        "learning_curves": Report(title="All learning curves", needs="a trial of two epochs", module="learning_curves"),
        "epochs_spent": Report(title="Where the epochs went", needs="two trials", module="epochs_spent"),
        "time_spent": Report(title="Where the time went", needs="an epoch with its seconds", module="time_spent"),
        "trainers": Report(title="What each trainer did", needs="an attempt", module="trainers"),
        "concurrency": Report(title="What the trainers did over time", needs="an attempt", module="concurrency"),
        "lineages": Report(title="Lineages of trials", needs="trials with parents", module="lineages"),
    }
)
