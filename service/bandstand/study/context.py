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
    """Shapes and sizes of the data that a study trains on.

    Example:
        >>> facts = DataFacts(x_shape=(64,), y_shape=(), examples={"train": 1500, "validation": 297}, classes=10)
        >>> facts.examples["train"]
        1500
    """

    x_shape: Any
    """Shape of one example of x, without the batch: `(28, 28, 1)`. If x is a dict or a tuple, so is this."""
    y_shape: Any
    """Shape of one example of y: `()` for a number or a label, `(10,)` for a row of ten numbers."""
    examples: Mapping[str, int]
    """Number of examples of each split: `train`, `validation`, `test`."""
    classes: int | None = None
    """Number of classes: the largest label + 1 if y holds whole numbers from 0, the row length if y is one-hot.

    None if y holds no classes, or is a dict or a tuple.
    """


@dataclass(frozen=True, kw_only=True)
class Context:
    """What Bandstand knows when it calls a user's function.

    A model builder, a data loader or a callbacks function gets a Context if it has a parameter called `context`:

        >>> def build(params, context):
        ...     return context.data.x_shape, context.data.classes
        >>> facts = DataFacts(x_shape=(64,), y_shape=(), examples={"train": 1500, "validation": 297}, classes=10)
        >>> build({}, Context(seed=1, trial=0, data=facts, steps_per_epoch=47))
        ((64,), 10)

    Before a study begins, Bandstand calls builder and callbacks once as a check. That call has `trial=0` and a folder
    that is removed afterwards.
    """

    seed: int
    """Seed of the trial, derived from the study's seed and the trial's number. A loader gets the study's seed."""
    trial: int | None = None
    """Number of the trial, from 0. None for a loader, because its data serve all trials."""
    epoch: int = 0
    """Number of epochs that the initial weights were trained for: 0 for new weights, more for a resumed trial and for a
    child, which begins with its parent's weights."""
    resumed: bool = False
    """Whether the trial continues from its own checkpoint, after a pause or after its process was killed."""
    folder: Path | None = None
    """A local folder for the files of this trial. It exists when the function is called, is the same one when the trial
    is resumed, and stays after the study. None for a loader."""
    data: DataFacts | None = None
    """Shapes and sizes of the data. None for a loader, which loads them."""
    steps_per_epoch: int | None = None
    """Number of batches in an epoch, including the last, smaller one. None for a loader."""


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
