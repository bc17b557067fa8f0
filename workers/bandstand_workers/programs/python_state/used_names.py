"""What a function's code reads beyond its arguments: globals, and what it takes from them.

Knows bytecode. Must not know values, nor why anybody asks.
"""

from __future__ import annotations

import dis
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["UsedNames", "used_names"]

_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME")
_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD")


@dataclass(frozen=True, slots=True)
class UsedNames:
    """What the code of a function names, functions inside it included."""

    chains: tuple[tuple[str, ...], ...]  # a global and the attributes taken from it: `np.random.normal`
    imports: tuple[str, ...]  # modules that it imports when it runs
    attributes: frozenset[str]  # names of all attributes that it takes, or may take, of anything
    text: str  # the code itself, without the place where it stood


_known: dict[int, tuple[types.CodeType, UsedNames]] = {}
_LIMIT = 10_000


def used_names(code: types.CodeType) -> UsedNames:
    """What a function's code names; remembered for each code object."""
    known = _known.get(id(code))
    if known is None or known[0] is not code:
        if len(_known) >= _LIMIT:
            _known.clear()
        known = code, _read(code)
        _known[id(code)] = known
    return known[1]


def _read(code: types.CodeType) -> UsedNames:
    chains: dict[tuple[str, ...], None] = {}
    imports: dict[str, None] = {}
    attributes: set[str] = set()
    texts = []
    for inner in _with_inner(code):
        chain: list[str] = []
        for instruction in dis.get_instructions(inner):
            name = instruction.argval if isinstance(instruction.argval, str) else ""
            if instruction.opname in _ATTRIBUTE:
                attributes.add(name)
                if chain:
                    chain.append(name)
                continue
            if instruction.opname == "CACHE":
                continue
            if chain:
                chains[tuple(chain)] = None
            chain = [name] if instruction.opname in _GLOBAL else []
            if instruction.opname == "IMPORT_NAME":
                imports[name] = None
        if chain:
            chains[tuple(chain)] = None
        texts.append(_text(inner))
        attributes.update(_names_among(inner.co_consts))
    return UsedNames(tuple(chains), tuple(imports), frozenset(attributes), "\n".join(texts))


def _names_among(constants: Iterable[object]) -> Iterator[str]:
    """Texts that may be names of attributes: of `getattr`, of a key in a configuration, of a class in `match`."""
    for constant in constants:
        if isinstance(constant, str) and constant.isidentifier():
            yield constant
        elif isinstance(constant, tuple):
            yield from _names_among(constant)


def _with_inner(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _with_inner(constant)


def _text(code: types.CodeType) -> str:
    constants = [_constant(value) for value in code.co_consts if not isinstance(value, types.CodeType)]
    named = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    return f"{code.co_name} {code.co_flags} {named} {constants} {code.co_code.hex()}"


def _constant(value: object) -> str:
    """A constant of code; the elements of a frozen set have no order of their own."""
    return repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
