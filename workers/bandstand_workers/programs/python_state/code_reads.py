"""What the code of a function of the user's reads: globals, and what it takes from modules.

Knows names and the modules that they lead to. Must not know how the values are taken in.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Iterable

from bandstand_workers.programs.python_state.code_origin import is_uncertain, is_users_module
from bandstand_workers.programs.python_state.used_names import used_names
from bandstand_workers.programs.python_state.walk import Walk

__all__ = ["read_code"]

_UNCERTAIN_BUILTINS = frozenset({"open", "input", "eval", "exec", "globals", "locals", "id", "__import__", "compile"})
_PYTHONS_OWN = frozenset(dir(builtins))
_WITHOUT_A_STEP = frozenset({"__init__", "__new__", "build", "get_config", "from_config", "get_build_config"})
"""Methods that have run when a model is built, and that no step of a built one runs again."""


def read_code(walk: Walk, function: types.FunctionType) -> None:
    """Take in a function's code, and the values of the globals that it reads."""
    names = used_names(function.__code__)
    walk.tokens.append(names.text)
    if function.__name__ not in _WITHOUT_A_STEP:
        walk.read_by_user |= names.attributes
        walk.read_by_user.update(chain[0] for chain in names.chains)
    for module in names.imports:
        _imported(walk, module, names.attributes)
    for chain in names.chains:
        _global(walk, function, chain)


def _imported(walk: Walk, module: str, attributes: Iterable[str]) -> None:
    """A module that is imported when the function runs; what is taken from it cannot be told apart."""
    if is_users_module(module) or is_uncertain(module) or (module == "numpy" and "random" in attributes):
        walk.not_understood(module, "imported where it is used")


def _global(walk: Walk, function: types.FunctionType, chain: tuple[str, ...]) -> None:
    name, *attributes = chain
    if name not in function.__globals__:
        if name in _UNCERTAIN_BUILTINS:
            walk.not_understood(name, "whose answer may be any")
        elif name not in _PYTHONS_OWN and hasattr(builtins, name):
            walk.step(f".{name}", getattr(builtins, name))
        return
    value = function.__globals__[name]
    while isinstance(value, types.ModuleType):
        if is_uncertain(".".join([value.__name__, *attributes[:1]])) or is_uncertain(value.__name__):
            walk.not_understood(value, f"{'.'.join(chain)} may answer anything")
            return
        if not attributes:
            if is_users_module(value.__name__):
                walk.not_understood(value, "a module as a whole")
                return
            break
        if not hasattr(value, attributes[0]):
            break
        value = getattr(value, attributes.pop(0))
    walk.tokens.append(".".join(chain))
    walk.step(f".{name}", value)
    for attribute in attributes:  # something that was put on a class or a function, be it a library's
        if not isinstance(value, type | types.FunctionType) or not hasattr(value, attribute):
            break
        value = getattr(value, attribute)
        walk.step(f".{attribute}", value)
