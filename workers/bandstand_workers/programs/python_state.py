"""All that a model holds in Python, as one digest, and every variable that it can reach.

Knows Python's objects and what of Keras's are caches. Must not know programs, nor what a digest is compared with.

A traced program has baked in whatever its model's code read while it was traced, other than the values of variables.
So the walk goes where that code can go: attributes, containers, functions with their closures and the globals that they
use, classes of the user's. What it does not understand it names, and whoever asked must then assume anything.
"""

from __future__ import annotations

import builtins
import collections
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import logging
import pathlib
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from bandstand_workers.internals import keras_parts
from bandstand_workers.programs.code_origin import is_uncertain, is_users, is_users_module
from bandstand_workers.programs.constants import Slot, VariableFloat
from bandstand_workers.programs.used_names import used_names

__all__ = ["FoundVariable", "PythonState", "read_python_state", "value_of"]

_MOST_OBJECTS = 50_000
"""A walk that is longer has left the model, say for a whole library."""


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
    obstacle: str  # what was not understood, where anything was not; the digest says nothing then
    variables: list[FoundVariable]  # each once, in the order of the walk
    slots: list[Slot]  # of those that were asked for, which no code of the user's reads as a number
    tensors: frozenset[int] = field(default_factory=frozenset)  # identities of constant tensors that were met


def read_python_state(model: Any, slots: Iterable[Slot] = ()) -> PythonState:
    """Walk over a compiled model.

    Args:
        model: with whatever it was compiled with.
        slots: attributes whose values are left out, because a program reads them from variables.
    """
    walk = _Walk(slots, model.variables)
    try:
        walk.visit(model)
    except RecursionError:
        walk.too_deep()
    return walk.state()


_ATOMS = (type(None), bool, int, float, complex, str, bytes)
_BY_TEXT = (
    pathlib.PurePath, decimal.Decimal, fractions.Fraction, datetime.date, datetime.time, datetime.timedelta, range,
    slice, np.dtype, types.EllipsisType, types.NotImplementedType, types.GenericAlias,
)  # fmt: skip
_NAMED_ONLY = (logging.Logger, type(sys.stdout))
_UNCERTAIN_BUILTINS = frozenset({"open", "input", "eval", "exec", "globals", "locals", "id", "__import__", "compile"})
_PYTHONS_OWN = frozenset(dir(builtins))
_ANY_ATTRIBUTE = frozenset(
    {"__dict__", "getattr", "__getattribute__", "vars", "attrgetter", "get_config", "get_compile_config",
     "serialize_keras_object"}
)  # fmt: skip
"""What code uses that takes attributes without naming them."""
_OF_EVERY_CLASS = frozenset(
    {"__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "__static_attributes__", "__annotations__",
     "__abstractmethods__", "_abc_impl", "__annotations_cache__", "__orig_bases__", "__parameters__", "__qualname__"}
)  # fmt: skip
_WITHOUT_A_STEP = frozenset({"__init__", "__new__", "build", "get_config", "from_config", "get_build_config"})
"""Methods that have run when a model is built, and that no step of a built one runs again."""


class _Walk:
    """One walk, in a fixed order, so that equal models give equal tokens."""

    def __init__(self, slots: Iterable[Slot], weights: Iterable[Any]):
        self._weights = list(weights)
        self._tokens: list[str] = []
        self._places: dict[int, int] = {}
        self._held: list[Any] = []  # so that no other object gets the identity of one that was met
        self._path: list[str] = ["model"]
        self._owners: list[Any] = []
        self._obstacle = ""
        self._variables: list[FoundVariable] = []
        self._tensors: set[int] = set()
        self._slots = {(id(slot.owner), slot.attribute): slot for slot in slots}
        self._met_slots: list[Slot] = []
        self._seeds: list[tuple[str, str]] = []
        self._read_by_user: set[str] = set()
        self._caches: list[tuple[str, Any]] = []  # of the user's objects, under names that Keras uses for its own

    def state(self) -> PythonState:
        """What was found."""
        read = self._read_by_user
        anything = not _ANY_ATTRIBUTE.isdisjoint(read)
        kept = [slot for slot in self._met_slots if not anything and slot.attribute not in read]
        for slot in self._met_slots:
            if slot not in kept:
                self._tokens.append(f"{slot.attribute} is {float(slot.value)!r}")
        for attribute, seed in self._seeds:
            if anything or attribute in read:
                self._tokens.append(f"seed of {attribute} is {seed}")
        for name, value in self._caches:
            if name in read:
                self._step(f".{name}", value)
        return PythonState(_digest_of(self._tokens), self._obstacle, self._variables, kept, frozenset(self._tensors))

    def visit(self, value: Any) -> None:
        """Take in a value of any kind."""
        kind = type(value)
        if kind in _ATOMS:
            self._tokens.append(f"{kind.__name__} {value!r}")
            return
        place = self._places.get(id(value))
        if place is not None:
            self._tokens.append(f"again {place}")
            return
        if len(self._held) >= _MOST_OBJECTS:
            self._not_understood(value, "more objects than a model has")
            return
        self._places[id(value)] = len(self._held)
        self._held.append(value)
        visit = _VISITORS.get(kind)
        if visit is None:
            visit = _VISITORS[kind] = _visitor_for(kind)
        try:
            visit(self, value)
        except RecursionError:
            raise
        except Exception as error:  # noqa: BLE001  # an object of the user's may raise whatever it is asked
            self._not_understood(value, type(error).__name__)

    def too_deep(self) -> None:
        """Objects hold one another in a longer chain than Python can follow."""
        self._obstacle = self._obstacle or "a chain of objects that is too long"

    # -- what kinds of values there are -----------------------------------------------------------------------------

    def variable(self, value: Any) -> None:
        """One of Keras: all of it but its value."""
        self._found(value)
        self._tokens.append(
            f"variable {value.path} {tuple(value.shape)} {value.dtype} {value.trainable} {keras_parts.is_cast(value)} "
            f"{value.aggregation}"
        )
        self.visit(value.regularizer)
        self.visit(value.constraint)

    def raw_variable(self, value: Any) -> None:
        """One of TensorFlow's, which Keras does not know."""
        self._found(value)
        self._tokens.append(f"raw variable {value.shape} {value.dtype.name} {value.trainable}")

    def number(self, value: Any) -> None:
        """A number that stands before a variable of a program's, which is not the model's."""
        self._tokens.append(f"float {float(value)!r}")

    def array(self, value: Any) -> None:
        """By value."""
        if type(value) is not np.ndarray and not isinstance(value, np.generic):
            self._not_understood(value, "an array that may hold more than its values")
        self._tokens.append(_text_of_array(np.asarray(value)))
        if np.asarray(value).dtype.hasobject:
            for each in np.asarray(value).ravel():
                self.visit(each)

    def tensor(self, value: Any) -> None:
        """One that exists, by value."""
        self._tensors.add(id(value))
        self._tokens.append(_text_of_array(np.asarray(keras.ops.convert_to_numpy(value))))

    def symbol(self, value: Any) -> None:
        """A place in a functional model's graph."""
        self._tokens.append(f"symbol {value.shape} {value.dtype} {value.sparse}")

    def by_text(self, value: Any) -> None:
        """What its text says all of."""
        self._tokens.append(f"{type(value).__name__} {value!r}")

    def pattern(self, value: re.Pattern[Any]) -> None:
        """A regular expression."""
        self._tokens.append(f"pattern {value.pattern!r} {value.flags}")

    def ufunc(self, value: Any) -> None:
        """By name, if it is NumPy's."""
        if getattr(np, value.__name__, None) is not value:
            self._not_understood(value, "made of a function")
        self._tokens.append(value.__name__)

    def named_only(self, value: Any) -> None:
        """What has no part in numbers."""
        self._tokens.append(type(value).__name__)

    def member(self, value: Any) -> None:
        """Of an enumeration."""
        self._tokens.append(f"{type(value).__qualname__} {value.name}")
        if is_users(type(value)):
            self.visit(value.value)
            self.visit(type(value))

    def mapping(self, value: Mapping[Any, Any]) -> None:
        """With keys in their order, which code may follow."""
        self._tokens.append(f"mapping {len(value)}")
        for key, each in value.items():
            self.visit(key)
            self._step(f"[{key!r:.60}]", each)

    def sequence(self, value: Iterable[Any]) -> None:
        """In its order."""
        values = list(value)
        self._tokens.append(f"sequence {len(values)}")
        for place, each in enumerate(values):
            self._step(f"[{place}]", each)

    def several(self, value: Iterable[Any]) -> None:
        """A set: by what was met already, or by text."""
        known, atoms = [], []
        for each in value:
            if type(each) in _ATOMS:
                atoms.append(repr(each))
            elif id(each) in self._places:
                known.append(self._places[id(each)])
            else:
                self._not_understood(each, "in a set, which has no order")
        self._tokens.append(f"set {sorted(atoms)} {sorted(known)}")

    def module(self, value: types.ModuleType) -> None:
        """By name; what functions take from it they name themselves."""
        self._tokens.append(f"module {value.__name__}")

    def definition(self, value: type) -> None:
        """A class; of the user's, all that it says."""
        self._tokens.append(f"class {value.__module__}:{value.__qualname__}")
        self._ask_certainty(value, value.__module__, value.__qualname__)
        if is_users(type(value)):
            self.visit(type(value))
        if is_users(value):
            for base in value.__bases__:
                self.visit(base)
            for name in sorted(vars(value).keys() - _OF_EVERY_CLASS):
                self._tokens.append(name)
                self._step(f".{name}", vars(value)[name])

    def function(self, value: Any) -> None:
        """By name where it is a library's; else by code, defaults, closure and the globals it uses."""
        if _is_found_by_name(value):
            # What a library's decorator holds, such as TensorFlow's dispatch, is the library's.
            self._by_name(value)
            return
        module = value.__globals__.get("__name__", value.__module__)  # `wraps` copies the other
        users = is_users_module(module or "__main__")
        self._tokens.append(f"function {module}:{value.__qualname__}")
        self._ask_certainty(value, module, value.__qualname__)
        for cell in value.__closure__ or ():
            self._step("()", _content_of(cell))
        if users or value.__closure__:
            for each in (value.__defaults__, value.__kwdefaults__):
                self.visit(each)
        if users:
            self._code(value)
            self.visit({name: each for name, each in vars(value).items() if name != "__wrapped__"})

    def _by_name(self, value: Any) -> None:
        self._tokens.append(f"function {value.__module__}:{value.__qualname__}")
        self._ask_certainty(value, value.__module__, value.__qualname__)

    def method(self, value: types.MethodType) -> None:
        """Of an object."""
        self.visit(value.__func__)
        self._step(".self", value.__self__)

    def builtin(self, value: Any) -> None:
        """A function written in C."""
        self._tokens.append(f"builtin {value.__module__} {value.__qualname__}")
        self._ask_certainty(value, value.__module__, value.__qualname__)
        if not isinstance(value.__self__, types.ModuleType | type(None)):
            self._step(".self", value.__self__)

    def wrapper(self, value: Any) -> None:
        """What stands around a function and calls it."""
        self._tokens.append(type(value).__name__)
        function = _within(value)
        if hasattr(value, "cache_info") and isinstance(function, types.FunctionType) and is_users(function):
            self._not_understood(value, "which remembers answers")
        self._step(".function", function)

    def partial(self, value: functools.partial[Any]) -> None:
        """A function with some arguments."""
        self._tokens.append("partial")
        for each in (value.func, value.args, value.keywords):
            self.visit(each)

    def accessor(self, value: Any) -> None:
        """A property, or one computed once."""
        self._tokens.append(type(value).__name__)
        for name in ("fget", "fset", "func", "__func__"):
            self.visit(getattr(value, name, None))

    def table(self, value: Any) -> None:
        """A look-up table of TensorFlow, by its content."""
        keys, values = (np.asarray(each) for each in value.export())
        order = np.argsort(keys.astype("S") if keys.dtype == object else keys, axis=0, kind="stable").ravel()
        for each in vars(value).values():  # such as the value for keys that are not there
            if keras.ops.is_tensor(each) and str(each.dtype) != "<dtype: 'resource'>":
                self.visit(each)
        self._tokens.append(f"table {keys[order].tolist()} {values[order].tolist()}")

    def instance(self, value: Any) -> None:
        """An object of a class written in Python: its class, and all attributes."""
        kind = type(value)
        self._tokens.append(f"object {kind.__module__}:{kind.__qualname__}")
        if is_users(kind):
            self.visit(kind)
        if isinstance(value, dict):
            self.mapping(dict(value))
        elif isinstance(value, list | tuple):
            self.sequence(value)
        elif isinstance(value, set | frozenset):
            self.several(value)
        elif isinstance(value, int | float | str | bytes):
            self._tokens.append(_plain_text(value))
        caches = keras_parts.caches_of(value)
        attributes = _attributes_of(value)
        self._owners.append(value)
        for name in sorted(attributes.keys() - caches):
            self._attribute(value, name, attributes[name])
        if caches and is_users(kind):
            self._caches += [(name, attributes[name]) for name in sorted(attributes.keys() & caches)]
        self._owners.pop()

    def opaque(self, value: Any) -> None:
        """What nothing is known of, unless it is a library's own, such as `np.mean`."""
        if _is_found_by_name(value):
            self._by_name(value)
        else:
            self._not_understood(value, "of a kind that is not known")

    # -- how it goes on ---------------------------------------------------------------------------------------------

    def _attribute(self, owner: Any, name: str, value: Any) -> None:
        self._tokens.append(name)
        slot = self._slots.get((id(owner), name))
        if slot is not None and type(value) in (float, VariableFloat) and value == slot.value:
            self._met_slots.append(slot)
            return
        if name == "seed" and keras_parts.has_random_seed(owner):
            self._seeds.append((self._path[-1].strip("."), repr(value)))
            return
        translated = keras_parts.without_identities(owner, name, value, self._weights)
        self._step(f".{name}", translated)

    def _step(self, name: str, value: Any) -> None:
        self._path.append(name)
        self.visit(value)
        self._path.pop()

    def _found(self, variable: Any) -> None:
        owner = self._owners[-1] if self._owners else None
        self._variables.append(FoundVariable("".join(self._path), variable, owner))

    def _not_understood(self, value: Any, why: str) -> None:
        self._tokens.append("?")
        if not self._obstacle:
            self._obstacle = f"{''.join(self._path)} ({type(value).__name__}, {why})"

    def _code(self, function: types.FunctionType) -> None:
        names = used_names(function.__code__)
        self._tokens.append(names.text)
        if function.__name__ not in _WITHOUT_A_STEP:
            self._read_by_user |= names.attributes
            self._read_by_user.update(chain[0] for chain in names.chains)
        for module in names.imports:
            self._imported(module, names.attributes)
        for chain in names.chains:
            self._global(function, chain)

    def _imported(self, module: str, attributes: Iterable[str]) -> None:
        """A module that is imported when the function runs; what is taken from it cannot be told apart."""
        if is_users_module(module) or is_uncertain(module) or (module == "numpy" and "random" in attributes):
            self._not_understood(module, "imported where it is used")

    def _global(self, function: types.FunctionType, chain: tuple[str, ...]) -> None:
        name, *attributes = chain
        if name not in function.__globals__:
            if name in _UNCERTAIN_BUILTINS:
                self._not_understood(name, "whose answer may be any")
            elif name not in _PYTHONS_OWN and hasattr(builtins, name):
                self._step(f".{name}", getattr(builtins, name))
            return
        value = function.__globals__[name]
        while isinstance(value, types.ModuleType):
            if is_uncertain(".".join([value.__name__, *attributes[:1]])) or is_uncertain(value.__name__):
                self._not_understood(value, f"{'.'.join(chain)} may answer anything")
                return
            if not attributes:
                if is_users_module(value.__name__):
                    self._not_understood(value, "a module as a whole")
                    return
                break
            if not hasattr(value, attributes[0]):
                break
            value = getattr(value, attributes.pop(0))
        self._tokens.append(".".join(chain))
        self._step(f".{name}", value)
        for attribute in attributes:  # something that was put on a class or a function, be it a library's
            if not isinstance(value, type | types.FunctionType) or not hasattr(value, attribute):
                break
            value = getattr(value, attribute)
            self._step(f".{attribute}", value)

    def _ask_certainty(self, value: Any, module: str | None, name: str) -> None:
        if module and is_uncertain(f"{module}.{name}"):
            self._not_understood(value, "whose answer may be any")


def _digest_of(tokens: list[str]) -> str:
    return hashlib.sha256("\x1f".join(tokens).encode("utf-8", "surrogatepass")).hexdigest()


def _text_of_array(array: np.ndarray[Any, Any]) -> str:
    if array.dtype.hasobject:
        return f"array {array.dtype} {array.shape}"
    content = np.ascontiguousarray(array)
    small = content.nbytes <= 64
    data = content.tobytes().hex() if small else hashlib.blake2b(content.reshape(-1).view(np.uint8).data).hexdigest()
    return f"array {array.dtype} {array.shape} {data}"


def _plain_text(value: Any) -> str:
    """The content of an object whose class derives from one of Python's plain ones."""
    plains: tuple[Any, ...] = (int, float, str, bytes)
    return next(repr(plain(value)) for plain in plains if isinstance(value, plain))


def _is_found_by_name(value: Any) -> bool:
    """Whether a function is what its library's module has under its name, so that no user has made it."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module not in sys.modules or not callable(value):
        return False
    return vars(sys.modules[module]).get(name) is value and not is_users_module(module)


def _attributes_of(value: Any) -> dict[str, Any]:
    attributes = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                attributes[name] = getattr(value, name)
    return attributes


def _content_of(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return None


def _within(value: Any) -> Any:
    for name in ("python_function", "_python_function", "__wrapped__", "__func__"):
        if hasattr(value, name):
            return getattr(value, name)
    raise TypeError("a wrapper must say what it wraps")


def _visitor_for(kind: type) -> Callable[[_Walk, Any], None]:
    """How values of a class are taken in."""
    if issubclass(kind, keras.Variable):
        return _Walk.variable
    if issubclass(kind, keras.KerasTensor):
        return _Walk.symbol
    for classes, visit in _BY_CLASS:
        if issubclass(kind, classes):
            return visit
    if issubclass(kind, _BY_TEXT):
        return _Walk.opaque if is_users(kind) else _Walk.by_text
    return _of_backends(kind) or _of_python(kind)


_BY_CLASS: tuple[tuple[Any, Callable[[_Walk, Any], None]], ...] = (
    (enum.Enum, _Walk.member),
    (VariableFloat, _Walk.number),
    ((np.ndarray, np.generic), _Walk.array),
    (types.FunctionType, _Walk.function),
    (types.MethodType, _Walk.method),
    ((types.BuiltinFunctionType, types.MethodWrapperType), _Walk.builtin),
    (functools.partial, _Walk.partial),
    ((staticmethod, classmethod, type(functools.cache(len))), _Walk.wrapper),
    ((property, functools.cached_property), _Walk.accessor),
    (types.ModuleType, _Walk.module),
    (type, _Walk.definition),
    (re.Pattern, _Walk.pattern),
    (np.ufunc, _Walk.ufunc),
    (_NAMED_ONLY, _Walk.named_only),
)


def _of_backends(kind: type) -> Callable[[_Walk, Any], None] | None:
    """For what TensorFlow and JAX have made."""
    root, name = kind.__module__.partition(".")[0], kind.__name__
    if root == "tensorflow":
        import tensorflow as tf

        if issubclass(kind, tf.Variable):
            return _Walk.raw_variable
        if issubclass(kind, tf.Tensor):
            return _Walk.tensor
        if issubclass(kind, tf.DType | tf.TensorShape | tf.TensorSpec):
            return _Walk.by_text
        if name in ("StaticHashTable", "MutableHashTable", "DenseHashTable"):
            return _Walk.table
        if hasattr(kind, "python_function"):
            return _Walk.wrapper
        if name in ("ListWrapper", "_ListWrapper", "List"):
            return _Walk.sequence
        if name in ("_DictWrapper", "Mapping"):
            return _Walk.mapping
        if name == "_TupleWrapper":
            return _Walk.sequence
        return None if issubclass(kind, tf.Module | tf.random.Generator) else _Walk.opaque
    if root in ("jax", "jaxlib"):
        import jax

        if issubclass(kind, jax.Array):
            return _Walk.tensor
        return _Walk.wrapper if name == "PjitFunction" else _Walk.opaque
    return None


def _of_python(kind: type) -> Callable[[_Walk, Any], None]:
    """For containers, and for objects of classes written in Python."""
    if kind.__module__ in ("builtins", "collections") or _is_library_container(kind):
        if issubclass(kind, dict | types.MappingProxyType):
            return _Walk.mapping
        if issubclass(kind, list | tuple | collections.deque):
            return _Walk.sequence
        if issubclass(kind, set | frozenset):
            return _Walk.several
        return _Walk.opaque
    written_in_c = [base for base in kind.__mro__ if not base.__flags__ & (1 << 9)]
    plain = {object, dict, list, tuple, set, frozenset, int, float, str, bytes}
    if any(base not in plain for base in written_in_c) or not _has_attributes(kind):
        return _Walk.opaque
    return _Walk.instance


def _is_library_container(kind: type) -> bool:
    return not is_users(kind) and issubclass(kind, dict | list | set) and kind.__module__.startswith("keras.")


def _has_attributes(kind: type) -> bool:
    return any("__dict__" in vars(base) or vars(base).get("__slots__") is not None for base in kind.__mro__)


_VISITORS: dict[type, Callable[[_Walk, Any], None]] = {}
