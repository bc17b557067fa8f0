"""By what a callback differs from one that has just begun: taken out of it as data, and put into a fresh one.

Knows what counts as a difference. Must not know how objects keep their fields, nor how data are written down.

A callback is an object of fields. A field is plain data (`plain_data`), or an object whose fields are looked at in turn
(one of a class written in Python, a random generator, a variable), or no data: an open file, a function, a link to the
model. That is no state while it is the same and holds the same. Where anything differs that is no data, the callback as
a whole begins anew.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from bandstand_workers.training.checkpoints.array_file import is_count
from bandstand_workers.training.checkpoints.checkpoint import Arrays, CallbackState
from bandstand_workers.training.checkpoints.object_fields import (
    Owner,
    fields_of,
    is_frozen,
    may_be_set,
    set_field,
    shapes_of,
)
from bandstand_workers.training.checkpoints.plain_data import Occurrences, Packed, pack
from bandstand_workers.training.checkpoints.unpacking import ArraysOnce, unpack

__all__ = ["BegunCallback", "put_back"]

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


class _ObstacleError(Exception):
    """A field that differs is no data; the message is its name."""


@dataclass(slots=True)
class _Object:
    """An object that has fields."""

    kind: type
    shapes: tuple[Any, ...]  # of its variables
    fields: dict[str, _Object | Packed]


class BegunCallback:
    """A callback as it stands when its training begins, to tell later what has become of it."""

    def __init__(self, callback: Any):
        """To be made when all callbacks have had their `on_train_begin`, and before a checkpoint is put back.

        Never raises, nor does `state`: a training does not fail by what a callback's fields are.
        """
        self.callback = callback
        self._begun: _Object | None = None
        try:
            begun = _Look(callback).all()
            _settle(begun)
            self._begun = begun
        except Exception:  # noqa: BLE001  # the user's own code, which may raise anything
            return

    def state(self) -> CallbackState:
        """By what the callback differs now; later steps do not change it."""
        name, arrays = type(self.callback).__name__, Arrays()
        try:
            if self._begun is None:
                raise _ObstacleError("__dict__")
            changes = _changes(_Look(self.callback).all(), self._begun, arrays)
        except _ObstacleError as obstacle:
            return CallbackState(name=name, changes={}, arrays=[], obstacle=f"{name}.{obstacle}")
        except Exception:  # noqa: BLE001  # the same
            return CallbackState(name=name, changes={}, arrays=[], obstacle=f"{name}.__dict__")
        return CallbackState(name=name, changes=changes, arrays=arrays)


def put_back(state: CallbackState, callback: Any) -> None:
    """Give a callback that has just begun the state of an earlier one.

    Raises:
        Exception: the state is of no such callback, in whatever way.
    """
    _put_into(callback, state.changes, ArraysOnce(state.arrays), _Look(callback))


class _Look:
    """One look at all that a callback holds; also the surroundings that packing is told of."""

    functions = _FUNCTIONS

    def __init__(self, callback: Any):
        self._callback = callback
        self._owner = Owner(callback)
        self._met: dict[int, Any] = {}  # objects by address
        self._places = Occurrences()

    def all(self) -> _Object:
        """The callback's fields as they are."""
        looked_at = self._object(self._callback)
        self._places.compare_arrays()
        return looked_at

    def _object(self, owner: Any) -> _Object:
        """An object's fields. One that was met before is a link: its state is where it was met first."""
        self._met[id(owner)] = owner
        kind, fields = type(owner), fields_of(owner)
        shapes = () if isinstance(owner, keras.callbacks.Callback) else shapes_of(owner)
        return _Object(kind, shapes, {name: self._field(value) for name, value in fields.items()})

    def _field(self, value: Any) -> _Object | Packed:
        if type(value) not in _PLAIN and id(value) not in self._met and len(self._met) < _OBJECTS:
            try:
                if self.has_fields(value):
                    return self._object(value)
            except Exception:  # noqa: BLE001  # the user's own code, which may raise anything
                self._met.pop(id(value), None)
        return pack(value, self, self._places)

    def has_fields(self, value: Any) -> bool:
        """Whether all that an object is made of can be read, and set, as its fields."""
        return self._owner.has_fields(value)

    def is_link(self, value: Any) -> bool:
        """Whether it belongs to the model, which has a state of its own, or was looked at already."""
        return id(value) in self._met or self._owner.is_link(value)

    def as_array(self, value: Any) -> Any:
        """Of a tensor."""
        try:
            is_tensor = keras.ops.is_tensor(value)
        except Exception:  # noqa: BLE001  # it asks for attributes, which an object of the user's may answer by raising
            return None
        return np.asarray(keras.ops.convert_to_numpy(value)) if is_tensor else None

    def as_tensor(self, array: np.ndarray[Any, Any]) -> Any:
        """Of an array."""
        return keras.ops.convert_to_tensor(array)

    def fields_of(self, value: Any) -> Mapping[str, Any] | None:
        """What an object is made of, None where that cannot be told; such an object is no data."""
        return fields_of(value) if self.has_fields(value) else None


def _settle(begun: _Object) -> None:
    for field in begun.fields.values():
        if isinstance(field, _Object):
            _settle(field)
        else:
            field.settle()


def _changes(now: _Object, begun: _Object, arrays: Arrays) -> dict[str, Any]:
    """What differs, as JSON; its arrays are copied into `arrays`."""
    gone = begun.fields.keys() - now.fields.keys()
    if gone:
        raise _ObstacleError(min(gone))
    changes: dict[str, Any] = {}
    for name, field in now.fields.items():
        before = begun.fields.get(name)
        if isinstance(field, _Object):
            inner = _changes_within(name, field, before, arrays)
            if inner:
                changes[name] = {"fields": inner}
        elif not (isinstance(before, Packed) and field.equals(before)):
            if field.obstacle or not may_be_set(now.kind, name) or not _is_of_its_class(field, before):
                raise _ObstacleError(name)
            changes[name] = {"value": field.tree, "arrays": len(arrays)}
            arrays.extend(array.copy() for array in field.arrays)
    return changes


def _changes_within(name: str, now: _Object, before: _Object | Packed | None, arrays: Arrays) -> dict[str, Any]:
    fits = isinstance(before, _Object) and (before.kind, before.shapes) == (now.kind, now.shapes)
    if not isinstance(before, _Object) or not fits:
        raise _ObstacleError(name)  # there would be nothing to put its fields into
    try:
        return _changes(now, before, arrays)
    except _ObstacleError as obstacle:
        raise _ObstacleError(f"{name}.{obstacle}") from None


def _is_of_its_class(field: Packed, before: _Object | Packed | None) -> bool:
    """Whether the fresh callback can say of which class a value is, where no text can."""
    return field.kind is None or (isinstance(before, Packed) and before.kind is field.kind)


def _put_into(owner: Any, changes: Mapping[str, Any], arrays: ArraysOnce, look: _Look) -> None:
    for name, change in changes.items():
        if not may_be_set(type(owner), name):
            raise ValueError(f"{name!r} is no attribute for data")
        fresh = fields_of(owner).get(name)
        if "fields" not in change:
            first = _place(change["arrays"])
            value = unpack(change["value"], lambda place, first=first: arrays.take(first + _place(place)), fresh, look)  # type: ignore[misc]
            set_field(owner, name, value)
            continue
        if not look.has_fields(fresh):
            raise TypeError(f"{name} has no fields")
        own = fresh
        if is_frozen(fresh):  # nobody expects it to change, so others may hold it
            own = copy.copy(fresh)
            set_field(owner, name, own)
        _put_into(own, change["fields"], arrays, look)


def _place(number: Any) -> int:
    if not is_count(number):
        raise ValueError("a place must count")
    return int(number)
