"""Shapes of the learning rate and what restarts set it to, from their registries."""

from __future__ import annotations

from bandstand.learning_rates import LEARNING_RATES, RESETS
from docs.generating.markdown import code, page, table

__all__ = ["make"]


def make() -> str:
    """The page."""
    return page(
        "Learning rates",
        "A *cycle* is a stretch of training in which the learning rate follows one shape. t is the number of epochs "
        "since "
        "the warm-up, and T is the number of epochs of the cycle without its warm-up.",
        "Shapes are used in three places: as Keras schedules (`LR_SCHEDULES` of "
        "[bandstand_workers](python-workers.md)), in "
        "callbacks that restart the rate (`WarmRestarts`, `RandomRestarts`), and by the policy "
        "[`lr-restarts`](strategies.md#policy-lr-restarts).",
        "## Shapes",
        table(
            ("shape", "learning rate", "options"),
            (
                (code(name), shape.summary, ", ".join(map(code, shape.options)))
                for name, shape in LEARNING_RATES.items()
            ),
        ),
        "In a warm-up of w epochs the rate rises linearly from 1 / (w + 1) of the initial rate. After it, no rate is "
        "below "
        "`final_fraction` times the initial rate.",
        "## Restarts",
        table(
            ("`Reset(to=…)`", "learning rate after a restart"), ((code(name), text) for name, text in RESETS.items())
        ),
    )
