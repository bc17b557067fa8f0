"""Simulation: what a strategy would do with a budget and workers, before anything is trained.

The same `Search` that production runs is driven by virtual workers in virtual time (`loop`), over learning curves that
are made up for any space, predicted or recorded (`learning_curves`). A curve is a function from a state and an epoch to
the next state, metrics and seconds; a checkpoint carries the state. So a strategy that restarts a trial, or lets it go
on from another's weights, is simulated as it would train. `comparison` runs strategies over the same seeds, `report`
puts the results into numbers and figures, `regret` scores them on recorded problems.

Nothing here reads a clock. Equal seeds give equal results.

To add curves: a file with `make_source(name, epoch_seconds) -> CurveSource` and a line in `CURVES` of
`learning_curves.sources`.
"""

from bandstand.simulation.cluster import VirtualCluster
from bandstand.simulation.comparison import Comparison, compare
from bandstand.simulation.learning_curves.curves import Advance, Curve, Curves, CurveSource, Setting
from bandstand.simulation.learning_curves.sources import CURVES, open_source
from bandstand.simulation.loop import simulate
from bandstand.simulation.simulation_result import Improvement, SimulationResult

__all__ = [
    "CURVES",
    "Advance",
    "Comparison",
    "Curve",
    "CurveSource",
    "Curves",
    "Improvement",
    "Setting",
    "SimulationResult",
    "VirtualCluster",
    "compare",
    "open_source",
    "simulate",
]
