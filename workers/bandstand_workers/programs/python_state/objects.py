"""Objects, classes and modules, taken in: an object by its class and all of its attributes.

Knows what of Keras's objects are caches. Must not know programs.
"""

from __future__ import annotations

import types
from typing import Any

from bandstand_workers.internals import keras_parts
from bandstand_workers.programs.constants import VariableFloat
from bandstand_workers.programs.python_state.code_origin import is_users
from bandstand_workers.programs.python_state.containers import mapping, sequence, several
from bandstand_workers.programs.python_state.functions import by_name, is_found_by_name
from bandstand_workers.programs.python_state.walk import Walk

__all__ = ["definition", "instance", "member", "module", "opaque"]

_OF_EVERY_CLASS = frozenset(
    {"__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "__static_attributes__", "__annotations__",
     "__abstractmethods__", "_abc_impl", "__annotations_cache__", "__orig_bases__", "__parameters__", "__qualname__"}
)  # fmt: skip


def definition(walk: Walk, value: type) -> None:
    """A class; of the user's, all that it says."""
    walk.tokens.append(f"class {value.__module__}:{value.__qualname__}")
    walk.ask_certainty(value, value.__module__, value.__qualname__)
    if is_users(type(value)):
        walk.visit(type(value))
    if is_users(value):
        for base in value.__bases__:
            walk.visit(base)
        for name in sorted(vars(value).keys() - _OF_EVERY_CLASS):
            walk.tokens.append(name)
            walk.step(f".{name}", vars(value)[name])


def member(walk: Walk, value: Any) -> None:
    """Of an enumeration."""
    walk.tokens.append(f"{type(value).__qualname__} {value.name}")
    if is_users(type(value)):
        walk.visit(value.value)
        walk.visit(type(value))


def instance(walk: Walk, value: Any) -> None:
    """An object of a class written in Python: its class, and all attributes."""
    kind = type(value)
    walk.tokens.append(f"object {kind.__module__}:{kind.__qualname__}")
    if is_users(kind):
        walk.visit(kind)
    if isinstance(value, dict):
        mapping(walk, dict(value))
    elif isinstance(value, list | tuple):
        sequence(walk, value)
    elif isinstance(value, set | frozenset):
        several(walk, value)
    elif isinstance(value, int | float | str | bytes):
        walk.tokens.append(_plain_text(value))
    caches = keras_parts.caches_of(value)
    attributes = _attributes_of(value)
    walk.owners.append(value)
    for name in sorted(attributes.keys() - caches):
        _attribute(walk, value, name, attributes[name])
    if caches and is_users(kind):
        walk.caches += [(name, attributes[name]) for name in sorted(attributes.keys() & caches)]
    walk.owners.pop()


def _attribute(walk: Walk, owner: Any, name: str, value: Any) -> None:
    walk.tokens.append(name)
    slot = walk.slots.get((id(owner), name))
    if slot is not None and type(value) in (float, VariableFloat) and value == slot.value:
        walk.met_slots.append(slot)
        return
    if name == "seed" and keras_parts.has_random_seed(owner):
        walk.seeds.append((walk.path[-1].strip("."), repr(value)))
        return
    translated = keras_parts.without_identities(owner, name, value, walk.weights)
    walk.step(f".{name}", translated)


def opaque(walk: Walk, value: Any) -> None:
    """What nothing is known of, unless it is a library's own, such as `np.mean`."""
    if is_found_by_name(value):
        by_name(walk, value)
    else:
        walk.not_understood(value, "of a kind that is not known")


def module(walk: Walk, value: types.ModuleType) -> None:
    """By name; what functions take from it they name themselves."""
    walk.tokens.append(f"module {value.__name__}")


def _plain_text(value: Any) -> str:
    """The content of an object whose class derives from one of Python's plain ones."""
    plains: tuple[Any, ...] = (int, float, str, bytes)
    return next(repr(plain(value)) for plain in plains if isinstance(value, plain))


def _attributes_of(value: Any) -> dict[str, Any]:
    attributes = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                attributes[name] = getattr(value, name)
    return attributes
