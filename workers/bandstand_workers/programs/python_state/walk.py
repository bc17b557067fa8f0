"""One walk over all that an object holds in Python: what was met, where it stands, and what was not understood.

Knows the order of the walk. Must not know what kinds of values there are: a visitor for each kind is given to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bandstand_workers.programs.constants import Slot
from bandstand_workers.programs.python_state.code_origin import is_uncertain
from bandstand_workers.programs.python_state.walk_results import FoundVariable, PythonState

__all__ = ["ATOMS", "Visitor", "Walk"]

_MOST_OBJECTS = 50_000
"""A walk that is longer has left the model, say for a whole library."""
ATOMS = (type(None), bool, int, float, complex, str, bytes)
"""Kinds of values that are taken in by their text, each as often as it is met."""
_ANY_ATTRIBUTE = frozenset(
    {"__dict__", "getattr", "__getattribute__", "vars", "attrgetter", "get_config", "get_compile_config",
     "serialize_keras_object"}
)  # fmt: skip
"""What code uses that takes attributes without naming them."""


class Walk:
    """One walk, in a fixed order, so that equal models give equal tokens."""

    def __init__(self, slots: Iterable[Slot], weights: Iterable[Any], visitors: Mapping[type, Visitor]):
        self.weights = list(weights)
        self._visitors = visitors
        self.tokens: list[str] = []
        self.places: dict[int, int] = {}
        self.held: list[Any] = []  # so that no other object gets the identity of one that was met
        self.path: list[str] = ["model"]
        self.owners: list[Any] = []
        self.obstacle: str | None = None
        self.variables: list[FoundVariable] = []
        self.tensors: set[int] = set()
        self.slots = {(id(slot.owner), slot.attribute): slot for slot in slots}
        self.met_slots: list[Slot] = []
        self.seeds: list[tuple[str, str]] = []
        self.read_by_user: set[str] = set()
        self.caches: list[tuple[str, Any]] = []  # of the user's objects, under names that Keras uses for its own

    def state(self) -> PythonState:
        """What was found."""
        read = self.read_by_user
        anything = not _ANY_ATTRIBUTE.isdisjoint(read)
        kept = [slot for slot in self.met_slots if not anything and slot.attribute not in read]
        for slot in self.met_slots:
            if slot not in kept:
                self.tokens.append(f"{slot.attribute} is {float(slot.value)!r}")
        for attribute, seed in self.seeds:
            if anything or attribute in read:
                self.tokens.append(f"seed of {attribute} is {seed}")
        for name, value in self.caches:
            if name in read:
                self.step(f".{name}", value)
        return PythonState(_digest_of(self.tokens), self.obstacle, self.variables, kept, frozenset(self.tensors))

    def visit(self, value: Any) -> None:
        """Take in a value of any kind."""
        kind = type(value)
        if kind in ATOMS:
            self.tokens.append(f"{kind.__name__} {value!r}")
            return
        place = self.places.get(id(value))
        if place is not None:
            self.tokens.append(f"again {place}")
            return
        if len(self.held) >= _MOST_OBJECTS:
            self.not_understood(value, "more objects than a model has")
            return
        self.places[id(value)] = len(self.held)
        self.held.append(value)
        visitor = self._visitors[kind]
        try:
            visitor(self, value)
        except RecursionError:
            raise
        except Exception as error:  # noqa: BLE001  # an object of the user's may raise whatever it is asked
            self.not_understood(value, type(error).__name__)

    def too_deep(self) -> None:
        """Objects hold one another in a longer chain than Python can follow."""
        self.obstacle = self.obstacle or "a chain of objects that is too long"

    def step(self, name: str, value: Any) -> None:
        """Take in what a value holds under this name."""
        self.path.append(name)
        self.visit(value)
        self.path.pop()

    def found(self, variable: Any) -> None:
        """A variable stands here."""
        owner = self.owners[-1] if self.owners else None
        self.variables.append(FoundVariable("".join(self.path), variable, owner))

    def not_understood(self, value: Any, why: str) -> None:
        """Nothing can be said of this value; the first such obstacle is told."""
        self.tokens.append("?")
        if self.obstacle is None:
            self.obstacle = f"{''.join(self.path)} ({type(value).__name__}, {why})"

    def ask_certainty(self, value: Any, module: str | None, name: str) -> None:
        """Do not understand what may answer otherwise each time, by where it stands."""
        if module and is_uncertain(f"{module}.{name}"):
            self.not_understood(value, "whose answer may be any")


Visitor = Callable[[Walk, Any], None]
"""Takes in a value of one kind."""


def _digest_of(tokens: list[str]) -> str:
    return hashlib.sha256("\x1f".join(tokens).encode("utf-8", "surrogatepass")).hexdigest()
