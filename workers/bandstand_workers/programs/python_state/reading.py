"""Reads all that a model holds in Python: which values are taken in how, and the walk that does it.

Knows the kinds of values that there are. Must not know what a digest is compared with.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import functools
import logging
import pathlib
import re
import sys
import types
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from bandstand_workers.programs.constants import Slot, VariableFloat
from bandstand_workers.programs.python_state import containers, functions, objects, plain_values, tensors
from bandstand_workers.programs.python_state.code_origin import is_users
from bandstand_workers.programs.python_state.walk import Visitor, Walk
from bandstand_workers.programs.python_state.walk_results import PythonState

__all__ = ["read_python_state"]

_BY_TEXT = (
    pathlib.PurePath, decimal.Decimal, fractions.Fraction, datetime.date, datetime.time, datetime.timedelta, range,
    slice, np.dtype, types.EllipsisType, types.NotImplementedType, types.GenericAlias,
)  # fmt: skip
_NAMED_ONLY = (logging.Logger, type(sys.stdout))


def read_python_state(model: Any, slots: Iterable[Slot] = ()) -> PythonState:
    """Walk over a compiled model.

    Args:
        model: with whatever it was compiled with.
        slots: attributes whose values are left out, because a program reads them from variables.
    """
    walk = Walk(slots, model.variables, _VISITORS)
    try:
        walk.visit(model)
    except RecursionError:
        walk.too_deep()
    return walk.state()


def _visitor_for(kind: type) -> Visitor:
    """How values of a class are taken in."""
    if issubclass(kind, keras.Variable):
        return tensors.variable
    if issubclass(kind, keras.KerasTensor):
        return tensors.symbol
    for classes, visit in _BY_CLASS:
        if issubclass(kind, classes):
            return visit
    if issubclass(kind, _BY_TEXT):
        return objects.opaque if is_users(kind) else plain_values.by_text
    return _of_backends(kind) or _of_python(kind)


_BY_CLASS: tuple[tuple[Any, Visitor], ...] = (
    (enum.Enum, objects.member),
    (VariableFloat, plain_values.number),
    ((np.ndarray, np.generic), plain_values.array),
    (types.FunctionType, functions.function),
    (types.MethodType, functions.method),
    ((types.BuiltinFunctionType, types.MethodWrapperType), functions.builtin),
    (functools.partial, functions.partial),
    ((staticmethod, classmethod, type(functools.cache(len))), functions.wrapper),
    ((property, functools.cached_property), functions.accessor),
    (types.ModuleType, objects.module),
    (type, objects.definition),
    (re.Pattern, plain_values.pattern),
    (np.ufunc, plain_values.ufunc),
    (_NAMED_ONLY, plain_values.named_only),
)


def _of_backends(kind: type) -> Visitor | None:
    """For what TensorFlow and JAX have made."""
    root, name = kind.__module__.partition(".")[0], kind.__name__
    if root == "tensorflow":
        import tensorflow as tf

        if issubclass(kind, tf.Variable):
            return tensors.raw_variable
        if issubclass(kind, tf.Tensor):
            return tensors.tensor
        if issubclass(kind, tf.DType | tf.TensorShape | tf.TensorSpec):
            return plain_values.by_text
        if name in ("StaticHashTable", "MutableHashTable", "DenseHashTable"):
            return tensors.table
        if hasattr(kind, "python_function"):
            return functions.wrapper
        if name in ("ListWrapper", "_ListWrapper", "List"):
            return containers.sequence
        if name in ("_DictWrapper", "Mapping"):
            return containers.mapping
        if name == "_TupleWrapper":
            return containers.sequence
        return None if issubclass(kind, tf.Module | tf.random.Generator) else objects.opaque
    if root in ("jax", "jaxlib"):
        import jax

        if issubclass(kind, jax.Array):
            return tensors.tensor
        return functions.wrapper if name == "PjitFunction" else objects.opaque
    return None


def _of_python(kind: type) -> Visitor:
    """For containers, and for objects of classes written in Python."""
    if kind.__module__ in ("builtins", "collections") or _is_library_container(kind):
        if issubclass(kind, dict | types.MappingProxyType):
            return containers.mapping
        if issubclass(kind, list | tuple | collections.deque):
            return containers.sequence
        if issubclass(kind, set | frozenset):
            return containers.several
        return objects.opaque
    written_in_c = [base for base in kind.__mro__ if not base.__flags__ & (1 << 9)]
    plain = {object, dict, list, tuple, set, frozenset, int, float, str, bytes}
    if any(base not in plain for base in written_in_c) or not _has_attributes(kind):
        return objects.opaque
    return objects.instance


def _is_library_container(kind: type) -> bool:
    return not is_users(kind) and issubclass(kind, dict | list | set) and kind.__module__.startswith("keras.")


def _has_attributes(kind: type) -> bool:
    return any("__dict__" in vars(base) or vars(base).get("__slots__") is not None for base in kind.__mro__)


class _Visitors(dict[type, Visitor]):
    """By kind; of one that is met for the first time it is looked for, once in a process."""

    def __missing__(self, kind: type) -> Visitor:
        self[kind] = _visitor_for(kind)
        return self[kind]


_VISITORS = _Visitors()
