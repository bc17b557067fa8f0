"""The median stopping rule."""

from __future__ import annotations

from typing import ClassVar

from bandstand.problem.problem import Problem
from bandstand.strategies.options import check_min_epochs, options_from
from bandstand.strategies.pruners.percentile import CurveOptions, PercentilePruner

__all__ = ["MedianPruner"]


class MedianPruner(PercentilePruner):
    """Stops a trial whose best value so far is worse than the median of what completed trials had at this epoch.

    After Golovin et al., Google Vizier, KDD 2017, section 3.2.1, with single values instead of running averages, as
    Optuna's MedianPruner has it.
    """

    options: ClassVar[type[CurveOptions]] = CurveOptions
    summary: ClassVar[str] = "Stops a trial that is worse than the median of the completed trials at the same epoch."
    owner: ClassVar[str] = "pruner median"

    @classmethod
    def check(cls, spec: Problem) -> None:
        """As `Pruner.check`."""
        options = options_from(cls.owner, CurveOptions, spec.pruner_options)
        check_min_epochs(cls.owner, options.min_epochs, spec.max_epochs)

    @classmethod
    def make(cls, spec: Problem) -> MedianPruner:
        """As `Pruner.make`."""
        return cls(spec, options_from(cls.owner, CurveOptions, spec.pruner_options), 50.0)
