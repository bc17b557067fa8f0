"""Context: what a user's function may ask for beside its params, and which functions ask.

Knows the words. Must not know Keras, nor when the functions are called.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Context", "DataFacts", "asks_for_context"]

_NAME = "context"
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What a study trains on, in figures."""

    x_shape: Any
    """Of one example of x, without the batch: `(28, 28, 1)`; where x is a dict or a tuple, one of shapes."""
    y_shape: Any
    """Of one example of y: `()` for a number or a label, `(10,)` for a row of ten."""
    examples: Mapping[str, int]
    """How many there are, by split."""
    classes: int | None = None
    """Largest label + 1 where y holds whole numbers from 0, the length of a row where its rows are one-hot; else None:
    what is predicted is no class, or y is a dict or a tuple."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What Bandstand knows when it calls a user's function.

    A builder, a data loader or a callbacks function gets it where it has a parameter of this name:

        >>> def build(params, context):
        ...     return context.data.x_shape, context.data.classes
        >>> facts = DataFacts(x_shape=(64,), y_shape=(), examples={"train": 1500, "validation": 297}, classes=10)
        >>> build({}, Context(seed=1, trial=0, data=facts, steps_per_epoch=47))
        ((64,), 10)

    Before a study begins, builder and callbacks are called for a trial 0 that is not trained, with a folder that is
    removed afterwards.
    """

    seed: int
    """The trial's, derived from the study's seed and the trial's number; for a loader the study's."""
    trial: int | None = None
    """The trial's number, from 0. None for a loader, whose data serve all trials."""
    epoch: int = 0
    """Epochs that lie behind the weights the trial begins with: 0 for fresh weights, those of its checkpoint for a
    resumed trial, those of its parent's for a child."""
    resumed: bool = False
    """Whether the trial goes on from a checkpoint of its own, after a pause or a killed process."""
    folder: Path | None = None
    """A local folder of the trial's own for files that the code writes: the same one when the trial is resumed, kept
    when the study has ended. It exists when the function is called. None for a loader."""
    data: DataFacts | None = None
    """What the study trains on. None for a loader, which makes it."""
    steps_per_epoch: int | None = None
    """Batches in an epoch, the last and smaller one counted. None for a loader."""


def asks_for_context(function: Callable[..., Any]) -> bool:
    """Whether a function has a parameter `context` that a call can name and that nobody has filled already.

    Functions, methods, classes and objects with `__call__` are looked at alike; `**options` does not ask. What
    `functools.partial` has given a context keeps that one.
    """
    inner = function
    while isinstance(inner, functools.partial):
        if _NAME in inner.keywords:
            return False
        inner = inner.func
    try:
        parameter = inspect.signature(function).parameters.get(_NAME)
    except (TypeError, ValueError):  # a callable without a signature
        return False
    return parameter is not None and parameter.kind in _BY_NAME
