"""What functions are, as a digest: the same source and the same values give the same one in any process.

Knows code objects, closures and globals. Must not know what the functions are for. Pickles will not do: they hold line
numbers, random identifiers of classes, sets in the order of hashes, and so differ from run to run.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

import cloudpickle

from bandstand.study.references import is_held_by_its_module

__all__ = ["content_of", "fingerprint", "globals_of"]

_DIGITS = 12
_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL")
_HEAP_TYPE = 1 << 9  # a class made by Python code, as CPython's Py_TPFLAGS_HEAPTYPE says
_OF_EVERY_CLASS = (
    "__dict__", "__weakref__", "__module__", "__firstlineno__", "__static_attributes__", "__abstractmethods__",
    "_abc_impl", "__annotations_cache__",
)  # fmt: skip


def fingerprint(functions: Sequence[Callable[..., Any]], extra: Sequence[bytes] = ()) -> str:
    """A digest of functions with everything that they use and that no module holds: 12 hexadecimal digits.

    Args:
        functions: that no module holds.
        extra: further content that belongs to it.
    """
    digest = _Digest()
    digest.add(sys.version_info[:2])
    for function in functions:
        digest.add(function)
    for content in extra:
        digest.add(content)
    return digest.text


def globals_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The globals that a function reads, and those of the functions inside it."""
    code = getattr(function, "__code__", None)
    known = getattr(function, "__globals__", {})
    return {} if code is None else {name: known[name] for name in sorted(_names_in(code)) if name in known}


def _names_in(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in _GLOBAL and isinstance(instruction.argval, str):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_in(constant)


class _Digest:
    """Takes in values one after the other; one that comes again is only named by its place."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._places: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no other object gets the identity of one that was seen

    @property
    def text(self) -> str:
        return self._hash.hexdigest()[:_DIGITS]

    def add(self, value: Any) -> None:
        """Take in a value of any kind."""
        if value is None or isinstance(value, bool | int | float | complex | str | bytes):
            self._put(type(value).__name__, repr(value))
            return
        if id(value) in self._places:
            self._put("again", str(self._places[id(value)]))
            return
        self._places[id(value)] = len(self._places)
        self._kept.append(value)
        if isinstance(value, types.CodeType):
            self._add_code(value)
        elif isinstance(value, types.ModuleType):
            self._put("module", value.__name__)
        elif isinstance(value, types.FunctionType | types.MethodType | type):
            self._add_definition(value)
        elif value is os.environ:
            self._put("environment", "")  # it does not travel either
        elif isinstance(value, Mapping):
            self._put("mapping", f"{type(value).__qualname__} {len(value)}")
            for key in value:
                self.add(key)
                self.add(value[key])
        elif isinstance(value, Set):
            self._put("set", f"{type(value).__qualname__} {sorted(_Digest.of(each) for each in value)}")
        elif isinstance(value, list | tuple):
            self._put("sequence", f"{type(value).__qualname__} {len(value)}")
            for each in value:
                self.add(each)
        else:
            self._add_object(value)

    @staticmethod
    def of(value: Any) -> str:
        """The digest of a value alone."""
        digest = _Digest()
        digest.add(value)
        return digest.text

    def _put(self, kind: str, text: str) -> None:
        self._hash.update(f"{kind} {len(text)} {text};".encode("utf-8", "surrogatepass"))

    def _add_code(self, code: types.CodeType) -> None:
        """Everything but where it stood."""
        self._put("code", f"{code.co_name} {code.co_flags} {code.co_argcount} {code.co_kwonlyargcount}")
        self._put("names", f"{code.co_names} {code.co_varnames} {code.co_freevars} {code.co_cellvars}")
        self._put("instructions", code.co_code.hex())
        self._put("exceptions", getattr(code, "co_exceptiontable", b"").hex())
        for constant in code.co_consts:
            self.add(constant)

    def _add_definition(self, value: Any) -> None:
        if isinstance(value, types.MethodType):
            self._put("method", value.__name__)
            self.add(value.__self__)
            self.add(value.__func__)
        elif is_held_by_its_module(value):
            self._put("import", f"{value.__module__}:{value.__qualname__}")
        elif isinstance(value, type):
            self._put("class", value.__qualname__)
            self.add(value.__bases__)
            for name in sorted(vars(value).keys() - set(_OF_EVERY_CLASS)):
                self._put("attribute", name)
                self.add(vars(value)[name])
        else:
            self._put("function", value.__qualname__)
            self.add(value.__code__)
            self.add(value.__defaults__)
            self.add(value.__kwdefaults__)
            self.add(dict(value.__dict__))
            for cell in value.__closure__ or ():
                self.add(content_of(cell))
            self.add(globals_of(value))

    def _add_object(self, value: Any) -> None:
        kind = type(value)
        self._put("object", f"{kind.__module__}:{kind.__qualname__}")
        if isinstance(value, staticmethod | classmethod):
            self.add(value.__func__)
        elif isinstance(value, property):
            self.add((value.fget, value.fset, value.fdel))
        elif isinstance(value, functools.partial):
            self.add((value.func, value.args, dict(value.keywords)))
        elif not is_held_by_its_module(kind):
            self.add(kind)
            self.add(getattr(value, "__dict__", None))
        elif _is_plain(kind):
            self.add(vars(value))
        else:
            self._hash.update(_pickled(value))


def _is_plain(kind: type) -> bool:
    """Whether an object of a class is no more than its `__dict__`: a pickle may differ from run to run."""
    classes = kind.__mro__[:-1]
    if any(not each.__flags__ & _HEAP_TYPE for each in classes):
        return False  # it is a list, or an array, with more
    return not any(vars(each).keys() & {"__reduce__", "__reduce_ex__", "__getstate__", "__slots__"} for each in classes)


def content_of(cell: types.CellType) -> Any:
    """What a closure's cell holds; None where nothing was put there yet."""
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return None


def _pickled(value: Any) -> bytes:
    """Of a value of somebody else's class; one that cannot be pickled is found out when it is packed."""
    try:
        return bytes(cloudpickle.dumps(value))
    except Exception:  # noqa: BLE001  # a class may raise anything
        return b""
