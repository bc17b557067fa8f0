"""By what a callback differs from one that has just begun: taken out of it as data, and put into a fresh one.

Knows how objects keep their fields, and which of Keras's are no state. Must not know how data are written down.

A callback is an object of fields. A field is plain data (`plain_data`), or an object whose fields are looked at in turn
(one of a class written in Python, a random generator), or a link to the model, which is no state, or no data: an open
file, a function. That is no state while it is the same. Where anything differs that is no data, the callback as a whole
begins anew.
"""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import keras
import numpy as np

from bandstand_workers.training.checkpoints.checkpoint import Arrays, CallbackState
from bandstand_workers.training.checkpoints.plain_data import Packed, pack, unpack

__all__ = ["BegunCallback", "put_back"]

_LINKS = frozenset({"_model", "params", "validation_data"})
"""Attributes by which Keras ties a callback to its training."""
_IN_PYTHON = 1 << 9
"""The flag of a type that was made when the program ran (Py_TPFLAGS_HEAPTYPE)."""
_HEAD, _WORD = object.__basicsize__, 8
_PLAIN = frozenset({int, float, str, bool, type(None), list, dict, tuple, np.ndarray})
"""Types of which most attributes are, so that nothing more need be asked of them."""
_FUNCTIONS: Mapping[str, Any] = {
    "keras.ops.less": keras.ops.less,
    "keras.ops.greater": keras.ops.greater,
    "numpy.less": np.less,
    "numpy.greater": np.greater,
}
"""Functions that are as good as data: Keras's callbacks choose one in their first epoch (`monitor_op`)."""
_OBJECTS = 200
"""That a callback is looked at through; who leads to more leads to what is not its own."""
_MACHINERY = frozenset({"tensorflow", "keras", "jax", "jaxlib", "pandas", "ray"}) | sys.stdlib_module_names
"""Packages whose objects lead to the insides of a process, such as a graph or all loggers."""


class _ObstacleError(Exception):
    """A field that differs is no data; the message is its name."""


@dataclass(slots=True)
class _Object:
    """An object that has fields."""

    kind: type
    fields: dict[str, _Object | Packed]


class BegunCallback:
    """A callback as it stands when its training begins, to tell later what has become of it."""

    def __init__(self, callback: Any):
        """To be made when all callbacks have had their `on_train_begin`, and before a checkpoint is put back."""
        self.callback = callback
        self._begun = _looked_at(callback, {})
        _settle(self._begun)

    def state(self) -> CallbackState:
        """By what the callback differs now; later steps do not change it."""
        name, arrays = type(self.callback).__name__, Arrays()
        try:
            changes = _changes(_looked_at(self.callback, {}), self._begun, arrays)
        except _ObstacleError as obstacle:
            return CallbackState(name=name, changes={}, arrays=[], obstacle=f"{name}.{obstacle}")
        return CallbackState(name=name, changes=changes, arrays=arrays)


def put_back(state: CallbackState, callback: Any) -> None:
    """Give a callback that has just begun the state of an earlier one.

    Raises:
        Exception: the state is of no such callback, in whatever way.
    """
    _put_into(callback, state.changes, state.arrays)


class _Surroundings:
    """What packing is told; see there."""

    functions = _FUNCTIONS

    def __init__(self, met: Mapping[int, Any] | None = None):
        """`met`: the objects that were looked at already, by address."""
        self._met = met or {}

    def is_link(self, value: Any) -> bool:
        """Whether it belongs to the model, which has a state of its own, or was looked at already."""
        return id(value) in self._met or _is_link(value)

    def as_array(self, value: Any) -> Any:
        """Of a tensor."""
        return np.asarray(keras.ops.convert_to_numpy(value)) if keras.ops.is_tensor(value) else None

    def as_tensor(self, array: np.ndarray[Any, Any]) -> Any:
        """Of an array."""
        return keras.ops.convert_to_tensor(array)

    def fields_of(self, value: Any) -> Mapping[str, Any] | None:
        """As the function of this name."""
        return _fields_of(value) if _has_fields(value) else None


def _looked_at(owner: Any, met: dict[int, Any]) -> _Object:
    """An object's fields as they are. One that was met before is a link: its state is where it was met first."""
    met[id(owner)] = owner
    fields: dict[str, _Object | Packed] = {}
    for name, value in _fields_of(owner).items():
        if name in _LINKS:
            continue
        if type(value) not in _PLAIN and _has_fields(value) and id(value) not in met and len(met) < _OBJECTS:
            fields[name] = _looked_at(value, met)
        else:
            fields[name] = pack(value, _Surroundings(met))
    return _Object(type(owner), fields)


def _settle(begun: _Object) -> None:
    for field in begun.fields.values():
        if isinstance(field, _Object):
            _settle(field)
        else:
            field.settle()


def _changes(now: _Object, begun: _Object, arrays: Arrays) -> dict[str, Any]:
    """What differs, as JSON; its arrays are copied into `arrays`."""
    changes: dict[str, Any] = {}
    for name, field in now.fields.items():
        before = begun.fields.get(name)
        if isinstance(field, _Object):
            if not isinstance(before, _Object) or before.kind is not field.kind:
                raise _ObstacleError(name)  # there would be nothing to put its fields into
            try:
                inner = _changes(field, before, arrays)
            except _ObstacleError as obstacle:
                raise _ObstacleError(f"{name}.{obstacle}") from None
            if inner:
                changes[name] = {"fields": inner}
        elif not (isinstance(before, Packed) and field.equals(before)) and not field.only_links:
            if (
                field.obstacle
                or not _may_be_set(now.kind, name)
                or (field.enum and not (isinstance(before, Packed) and before.enum is field.enum))
            ):
                raise _ObstacleError(name)
            changes[name] = {"value": field.tree, "arrays": len(arrays)}
            arrays.extend(array.copy() for array in field.arrays)
    return changes


def _put_into(owner: Any, changes: Mapping[str, Any], arrays: Arrays) -> None:
    for name, change in changes.items():
        if not _may_be_set(type(owner), name):
            raise ValueError(f"{name!r} is no attribute for data")
        fresh = _fields_of(owner).get(name)
        if "fields" not in change:
            value = unpack(change["value"], arrays[change["arrays"] :], fresh, _Surroundings())
            _set_field(owner, name, value)
            continue
        if not _has_fields(fresh):
            raise TypeError(f"{name} has no fields")
        own = fresh
        if _is_frozen(fresh):  # nobody expects it to change, so others may hold it
            own = copy.copy(fresh)
            _set_field(owner, name, own)
        _put_into(own, change["fields"], arrays)


def _may_be_set(kind: type, name: str) -> bool:
    """Whether a name is an attribute for data, and not, say, a method of the class."""
    known = next((vars(each)[name] for each in kind.__mro__ if name in vars(each)), None)
    is_method = callable(known) or isinstance(known, property | classmethod | staticmethod)
    return name.isidentifier() and not name.startswith("__") and name not in _LINKS and not is_method


# -- objects and their fields ----------------------------------------------------------------------------------------


def _has_fields(value: Any) -> bool:
    """Whether all that an object is made of can be read, and set, as its fields."""
    if _is_link(value):
        return False
    return (
        isinstance(value, np.random.Generator | np.random.RandomState)
        or _draws(value)
        or _is_variable(value)
        or _is_written_in_python(value)
    )


def _draws(value: Any) -> bool:
    return isinstance(value, random.Random) and not isinstance(value, random.SystemRandom)


def _is_variable(value: Any) -> bool:
    """Whether it is a variable of TensorFlow's own."""
    return type(value).__module__.startswith("tensorflow.") and hasattr(value, "assign") and hasattr(value, "numpy")


def _is_written_in_python(value: Any) -> bool:
    """Whether an object's class, and all that it inherits from, has nothing beside fields that Python knows of."""
    kind = type(value)
    if not kind.__flags__ & _IN_PYTHON or isinstance(value, type | Enum | BaseException):
        return False
    if kind.__module__.split(".")[0] in _MACHINERY and not isinstance(value, keras.callbacks.Callback):
        return False
    return bool(kind.__basicsize__ <= _HEAD + _WORD * (2 + len(_slots_of(kind))))  # and what dicts and weak links take


def _slots_of(kind: type) -> list[str]:
    names: list[str] = []
    for each in kind.__mro__:
        slots = vars(each).get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def _fields_of(owner: Any) -> dict[str, Any]:
    """What an object is made of, by name; of a random generator its state."""
    if _draws(owner):
        return {"state": owner.getstate()}
    if isinstance(owner, np.random.Generator):
        return {"state": owner.bit_generator.state}
    if isinstance(owner, np.random.RandomState):
        return {"state": owner.get_state(legacy=False)}
    if _is_variable(owner):
        return {"content": owner.numpy()}
    slots = {name: getattr(owner, name) for name in _slots_of(type(owner)) if hasattr(owner, name)}
    return slots | getattr(owner, "__dict__", {})


def _set_field(owner: Any, name: str, value: Any) -> None:
    if _draws(owner):
        owner.setstate(value)
    elif isinstance(owner, np.random.Generator):
        owner.bit_generator.state = value
    elif isinstance(owner, np.random.RandomState):
        owner.set_state(value)
    elif _is_variable(owner):
        owner.assign(value)
    elif _is_frozen(owner):
        object.__setattr__(owner, name, value)
    else:
        setattr(owner, name, value)


def _is_frozen(value: Any) -> bool:
    """Whether it is of a dataclass that lets nobody change it."""
    settings = getattr(type(value), "__dataclass_params__", None)
    return bool(settings is not None and settings.frozen)


# -- Keras -----------------------------------------------------------------------------------------------------------


def _is_link(value: Any) -> bool:
    """Whether something belongs to the model, which has a state of its own."""
    return isinstance(value, keras.Layer | keras.optimizers.Optimizer | keras.Variable)
