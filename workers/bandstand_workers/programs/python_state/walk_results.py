"""What a walk over a model finds.

Knows the results. Must not know how they are come by.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from bandstand_workers.programs.constants import Slot

__all__ = ["FoundVariable", "PythonState", "value_of"]


@dataclass(frozen=True, slots=True)
class FoundVariable:
    """A variable that a model can reach."""

    path: str  # of attributes, from the model
    variable: Any  # of Keras or of TensorFlow
    owner: Any  # the object whose attribute holds it, be it in a list

    @property
    def value(self) -> np.ndarray[Any, Any]:
        """As `value_of`."""
        return value_of(self.variable)


def value_of(variable: Any) -> np.ndarray[Any, Any]:
    """A variable's value as an array that later steps do not change."""
    return np.array(keras.ops.convert_to_numpy(variable))


@dataclass(frozen=True, slots=True)
class PythonState:
    """What a walk has found."""

    digest: str  # equal where everything but the values of variables and slots is equal
    obstacle: str | None  # what was not understood; the digest says nothing then
    variables: list[FoundVariable]  # each once, in the order of the walk
    slots: list[Slot]  # of those that were asked for, which no code of the user's reads as a number
    tensors: frozenset[int] = field(default_factory=frozenset)  # identities of constant tensors that were met
