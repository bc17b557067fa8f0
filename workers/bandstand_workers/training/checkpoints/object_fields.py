"""What objects of a callback are made of: fields by name, read and set.

Knows how Python's objects, random generators, and variables of Keras and TensorFlow keep what they hold. Must not know
what becomes of it.
"""

from __future__ import annotations

import random
import sys
from enum import Enum
from functools import cached_property
from typing import Any

import keras
import numpy as np

__all__ = ["Owner", "fields_of", "is_frozen", "may_be_set", "set_field", "shapes_of"]

_LINKS = frozenset({"_model", "params", "validation_data"})
"""Attributes by which Keras ties a callback to its training."""
_IN_PYTHON = 1 << 9
"""The flag of a type that was made when the program ran (Py_TPFLAGS_HEAPTYPE)."""
_HEAD, _WORD = object.__basicsize__, 8
_MACHINERY = frozenset({"tensorflow", "keras", "jax", "jaxlib", "pandas", "ray"}) | sys.stdlib_module_names
"""Packages whose objects lead to the insides of a process, such as a graph or all loggers."""
_LAYERS = keras.Layer | keras.optimizers.Optimizer
_WITH_VARIABLES = keras.Variable | keras.metrics.Metric | keras.random.SeedGenerator


class Owner:
    """A callback whose objects are looked at."""

    def __init__(self, callback: Any):
        """Its model is asked for what belongs to it only when a variable is met."""
        self._callback = callback

    @cached_property
    def _of_model(self) -> frozenset[int]:
        """The addresses of its model's variables, whose state is kept with the model."""
        model = getattr(self._callback, "model", None)
        optimizer = getattr(model, "optimizer", None)
        groups = [getattr(model, name, ()) for name in ("variables", "metrics_variables")]
        return frozenset(id(each) for group in (*groups, getattr(optimizer, "variables", ())) for each in group)

    def is_link(self, value: Any) -> bool:
        """Whether something belongs to a model, which has a state of its own."""
        if isinstance(value, _LAYERS):
            return True
        if not isinstance(value, _WITH_VARIABLES):
            return False
        variables = _variables_of(value)
        return not variables or any(id(variable) in self._of_model for variable in variables)

    def has_fields(self, value: Any) -> bool:
        """Whether all that an object is made of can be read, and set, as its fields."""
        return not self.is_link(value) and (
            isinstance(value, np.random.Generator | np.random.RandomState)
            or _draws(value)
            or bool(_variables_of(value))
            or _is_written_in_python(value)
        )


def _draws(value: Any) -> bool:
    return isinstance(value, random.Random) and not isinstance(value, random.SystemRandom)


def _variables_of(value: Any) -> list[Any]:
    """The variables in which an object keeps all that changes: a variable itself, a metric, a generator."""
    if isinstance(value, keras.Variable):
        return [value]
    if isinstance(value, keras.metrics.Metric):
        return list(value.variables)
    if isinstance(value, keras.random.SeedGenerator):
        return [value.state]
    if type(value).__module__.startswith("tensorflow."):
        if hasattr(value, "assign") and hasattr(value, "numpy"):
            return [value]
        if type(value).__name__ == "Generator" and hasattr(value, "state"):
            return [value.state]
    return []


def shapes_of(value: Any) -> tuple[Any, ...]:
    """Of its variables, with their types; nothing of another shape can be put into them."""
    return tuple((tuple(each.shape), str(each.dtype)) for each in _variables_of(value))


def _is_written_in_python(value: Any) -> bool:
    """Whether an object's class, and all that it inherits from, has nothing beside fields that Python knows of."""
    kind = type(value)
    if isinstance(value, type | Enum | BaseException) or kind.__itemsize__:
        return False
    if not all(each.__flags__ & _IN_PYTHON for each in kind.__mro__[:-1]) or kind is object:
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


def fields_of(owner: Any) -> dict[str, Any]:
    """What an object is made of, by name, without what ties a callback to its training.

    Of a random generator it is its state, of what has variables their content.
    """
    if _draws(owner):
        return {"state": owner.getstate()}
    if isinstance(owner, np.random.Generator):
        return {"state": owner.bit_generator.state}
    if isinstance(owner, np.random.RandomState):
        return {"state": owner.get_state(legacy=False)}
    variables = _variables_of(owner)
    if variables:
        return {f"content{place or ''}": _content_of(variable) for place, variable in enumerate(variables)}
    fields: dict[str, Any] = getattr(owner, "__dict__", {})
    slots = {name: getattr(owner, name) for name in _slots_of(type(owner)) if hasattr(owner, name)}
    tied = isinstance(owner, keras.callbacks.Callback)
    return {name: value for name, value in (slots | fields).items() if not (tied and name in _LINKS)}


def _content_of(variable: Any) -> np.ndarray[Any, Any]:
    return np.asarray(
        keras.ops.convert_to_numpy(variable) if isinstance(variable, keras.Variable) else variable.numpy()
    )


def set_field(owner: Any, name: str, value: Any) -> None:
    """Give a field another value.

    Raises:
        Exception: the object cannot take it, in whatever way.
    """
    variables = _variables_of(owner)
    if variables:
        variables[int(name.removeprefix("content") or 0)].assign(value)
    elif _draws(owner):
        owner.setstate(value)
    elif isinstance(owner, np.random.Generator):
        owner.bit_generator.state = value
    elif isinstance(owner, np.random.RandomState):
        owner.set_state(value)
    elif is_frozen(owner):
        object.__setattr__(owner, name, value)
    else:
        setattr(owner, name, value)


def may_be_set(kind: type, name: str) -> bool:
    """Whether a name is an attribute for data, and not, say, a method of the class."""
    known = next((vars(each)[name] for each in kind.__mro__ if name in vars(each)), None)
    is_method = callable(known) or isinstance(known, property | classmethod | staticmethod)
    ties = name in _LINKS and issubclass(kind, keras.callbacks.Callback)
    return name.isidentifier() and not name.startswith("__") and not ties and not is_method


def is_frozen(value: Any) -> bool:
    """Whether it is of a dataclass that lets nobody change it."""
    settings = getattr(type(value), "__dataclass_params__", None)
    return bool(settings is not None and settings.frozen)
