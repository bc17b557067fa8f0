"""How many parameters a model has, also one that is too large to be built.

Knows Keras models. Must not know trials.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bandstand_workers import keras_session
from bandstand_workers.internals.keras_parts import weights_without_values

__all__ = ["count_by_shapes", "count_of"]


def count_of(model: Any) -> int | None:
    """The weights of a built model, counted; None where it has none yet."""
    try:
        return int(model.count_params()) or None
    except Exception:  # noqa: BLE001  # a model of the user's own class that is not built, or counts in its own way
        return None


def count_by_shapes(build: Callable[[], Any]) -> int | None:
    """The weights of the model that a builder would make, whose values are not made; None where that does not work.

    The builder is called once more. Only where its process is to be replaced: what it does beside making a model, it
    does twice.
    """
    with keras_session.EXCLUSIVE:
        try:
            with weights_without_values():
                return count_of(build())
        except Exception:  # noqa: BLE001  # one that sets weights, or calls its model on data, cannot do without values
            return None
