"""The learning curves that `bandstand simulate` knows, from their registry."""

from __future__ import annotations

from bandstand.simulation.learning_curves.sources import CURVES
from docs.generating.markdown import code, page, table

__all__ = ["make"]


def make() -> str:
    """The page."""
    return page(
        "Curves of simulations",
        "`bandstand simulate --curves CURVES` trains nothing. It reads the metrics of each epoch from learning curves.",
        table(
            ("curves", "what they are", "needs"),
            ((code(name), kind.summary, kind.needs or "nothing") for name, kind in CURVES.items()),
        ),
        "Recorded curves are read from `curves/` in the folder that the variable `BANDSTAND_DATA` names "
        "([Environment](environment.md)). `lcbench` needs the package `onnxruntime` as well.",
        "* Curves of `lcbench` and `taskset` have a space and an objective of their own. These replace those of the "
        "study, "
        "so the study file may be left out.\n"
        "* Curves of `analytic` follow params that change during a training, and the rates within a cycle of "
        "`lr-restarts`.\n"
        "* Recorded curves cannot follow such changes. A child of `pbt`, `pb2` or `lr-restarts` gets the later "
        "epochs of "
        "its own params' curve, as if it had trained with these params from the start. That flatters these "
        "strategies. A "
        "note beside the results says so.",
    )
