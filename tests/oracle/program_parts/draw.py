"""Draws that make up one random program: its parts, the values in it, and which of these params decide.

Knows chance. Must not know Keras, nor what a part is.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Draw", "Knob"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Knob:
    """A value of a program that a param may decide."""

    name: str
    values: tuple[Any, ...]
    value: Any  # where no param decides it


class Draw:
    """One program's chance. The same seed and number draw the same, whichever knobs are params."""

    def __init__(self, seed: int, number: int, backend: str, params: frozenset[int] | None = None):
        """`params` are the indices of the knobs that become params; None: all do."""
        self.backend = backend
        self.knobs: list[Knob] = []
        self.features: set[str] = set()
        self.needs: list[str] = []
        self._chance = random.Random(f"{seed} {number}")
        self._params = params

    def number(self) -> float:
        """From 0 to 1."""
        return self._chance.random()

    def happens(self, share: float, feature: str = "") -> bool:
        """Whether something that happens in a share of the programs does; its feature is noted then."""
        happened = self._chance.random() < share
        if happened and feature:
            self.features.add(feature)
        return happened

    def one_of(self, choices: Sequence[_T]) -> _T:
        """One of these, all equally likely."""
        return self._chance.choice(choices)

    def some_of(self, choices: Sequence[_T], least: int, most: int) -> list[_T]:
        """Some of these, each at most once."""
        return self._chance.sample(list(choices), self._chance.randint(least, most))

    def knob(self, name: str, *values: Any) -> str:
        """The text of one of these values, or of the param that decides among them."""
        index = len(self.knobs)
        knob = Knob(f"{name}_{index}", values, self._chance.choice(values))
        self.knobs.append(knob)
        if self._params is not None and index not in self._params:
            return repr(knob.value)
        return f'params["{knob.name}"]'

    def note(self, feature: str) -> None:
        """The program has this feature."""
        self.features.add(feature)

    def need(self, name: str) -> str:
        """The program's text must hold the definition of this name, which is returned."""
        if name not in self.needs:
            self.needs.append(name)
        return name
