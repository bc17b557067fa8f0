"""Looks into the sources of the modules that a study names, without importing them.

A second's work before half a minute of starting trainers: whether the functions are there, whether they ask for
parameters that the space has, whether a package is missing. What a source does not say for certain, the first trainer
finds out. Knows Python's syntax. Must not know what the functions are for.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bandstand.errors import InputError
from bandstand.extras import EXTRAS, lacks
from bandstand.study.references import InteractiveReference
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.user_modules import find_module, find_source

__all__ = ["TENSORBOARD", "check_source", "source_notes", "unknown_param"]

TENSORBOARD = lacks("tensorboard", "the callback TensorBoard", EXTRAS["tensorboard"].packages)
_MAY_BIND_ANYTHING = {"globals", "exec", "eval", "setattr", "vars", "locals", "__getattr__", "modules"}
_DEPTH = 8  # of imports that are followed


@dataclass(frozen=True)
class _Definition:
    """Where a function is defined."""

    file: Path
    node: ast.FunctionDef


@dataclass(frozen=True)
class _Asked:
    """A parameter that a function asks its params for."""

    name: str
    line: int
    is_certain: bool  # it is asked for in any call, and nobody could have put it there


def check_source(spec: StudySpec, folders: Sequence[str]) -> None:
    """Refuse a study whose sources show that no trial can begin.

    Args:
        spec: the study; functions that no module holds are passed over.
        folders: in which the user's modules are looked for.

    Raises:
        InputError: a source does not parse, has no such function, or asks for a parameter that the space does not have;
            or callbacks need TensorBoard, which is not installed.
    """
    names = _names_of(spec)
    for role, reference in spec.named_references:
        definition = _definition_of(role, reference, folders)
        if definition is None:
            continue
        for asked in _asked_by(role, definition.node):
            if asked.is_certain and asked.name not in names:
                place = f"{definition.file.name}:{asked.line}"
                raise InputError(
                    f"{role} must ask for parameters of the space; {unknown_param(place, asked.name, names)}"
                )
        line = _tensorboard_in(definition.node)
        if role == "callbacks" and line and find_module("tensorboard", folders) is None:
            raise InputError(f"{TENSORBOARD} ({definition.file.name}:{line})")


def source_notes(spec: StudySpec, folders: Sequence[str]) -> list[str]:
    """What to say of parameters that a study's functions seem to ask for and that the space does not have."""
    names, notes = _names_of(spec), []
    for role, reference in spec.named_references:
        definition = _definition_of(role, reference, folders)
        for asked in [] if definition is None else _asked_by(role, definition.node):
            if asked.name not in names and definition is not None:
                notes.append(unknown_param(f"{definition.file.name}:{asked.line}", asked.name, names))
    return list(dict.fromkeys(notes))


def unknown_param(place: str, name: str, names: Sequence[str]) -> str:
    """Such as `train.py:14 asks for 'unit', which the space does not have: did you mean 'units'?`."""
    close = difflib.get_close_matches(name, names, 1, 0.6)
    way = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
    return f"{place} asks for {name!r}, which the space does not have: {way}"


def _names_of(spec: StudySpec) -> list[str]:
    return [name for name, _, _ in spec.space.flat()]


def _definition_of(role: str, reference: str, folders: Sequence[str]) -> _Definition | None:
    """Where a function is defined; None where that cannot be told.

    Raises:
        InputError: it is nowhere, or its module's source does not parse.
    """
    if isinstance(reference, InteractiveReference):
        return None
    module, _, name = reference.partition(":")
    for _ in range(_DEPTH):
        file = find_source(module, folders)
        if file is None:
            return None
        tree = _tree_of(role, reference, file)
        found = _bound_in(tree)
        if found is None:
            return None
        if name not in found:
            functions = ", ".join(each for each, nodes in found.items() if isinstance(nodes[0], _DEFINITIONS))
            raise InputError(
                f"{role} must name a function; {module} ({file.name}) has no {name!r}, only "
                f"{functions or 'other things than functions'}"
            )
        node = found[name][0]
        if len(found[name]) > 1 or not isinstance(node, ast.FunctionDef | ast.ImportFrom):
            return None
        if isinstance(node, ast.FunctionDef):
            return None if node.decorator_list else _Definition(file, node)
        alias = next(each for each in node.names if (each.asname or each.name) == name)
        module, name = _absolute(node, module, file), alias.name
        if find_source(f"{module}.{name}", folders) is not None:
            return None  # a module of a package, and no function
    return None


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _tree_of(role: str, reference: str, file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise InputError(
            f"{role} must be importable; {reference!r} is not: SyntaxError: {said} ({file.name}{line}): "
            "correct the module"
        ) from None
    except OSError:
        return ast.parse("from unreadable import *")


def _absolute(node: ast.ImportFrom, module: str, file: Path) -> str:
    """The module that an import statement of `module` names."""
    if not node.level:
        return node.module or ""
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    return ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])


def _bound_in(tree: ast.Module) -> dict[str, list[ast.AST]] | None:
    """What a module's source binds to each name, at its top; None where it may bind others, too."""
    found: dict[str, list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            found |= {name: [node] for name in node.names}
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            return None
        name = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "name", None)
        if isinstance(name, str) and name in _MAY_BIND_ANYTHING:
            return None
    for node in _statements(tree.body):
        for name in _bound_by(node):
            found.setdefault(name, []).append(node)
    return found


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """All that runs when a module is imported, what is inside `if` and `try` too, but no function's or class's body."""
    for statement in body:
        yield statement
        if isinstance(statement, _DEFINITIONS):
            continue
        for child in ast.walk(statement):
            if child is not statement and isinstance(child, ast.stmt | ast.NamedExpr | ast.ExceptHandler):
                yield child


def _bound_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, _DEFINITIONS):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0]
    else:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.stmt):
                for each in ast.walk(child):
                    if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                        yield each.id


def _asked_by(role: str, function: ast.FunctionDef) -> list[_Asked]:
    """What a function asks its params for by `params["name"]`; nothing where it changes them, or takes none."""
    params = _params_of(role, function)
    if params is None:
        return []
    parents = {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}
    uses = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == params]
    if any(_changes(use, parents) for use in uses) or _is_taken_again(function, params):
        return []
    plain = all(_is_plain(use, parents) for use in uses)
    tested = {
        node.left.value
        for node in ast.walk(function)
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Constant)
    }
    asked = []
    for use in uses:
        node = parents[use]
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Constant)
            and isinstance(node.slice.value, str)
        ):
            name = node.slice.value
            if name not in tested and not _is_tried(node, parents):
                asked.append(_Asked(name, node.lineno, plain and _always_runs(node, function, parents)))
    return asked


def _params_of(role: str, function: ast.FunctionDef) -> str | None:
    """The argument that is given the params: a builder's first, a callbacks function's first without a default."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    needed = arguments[: len(arguments) - len(function.args.defaults)]
    names = [each.arg for each in (needed if role == "callbacks" else arguments) if each.arg != "context"]
    return names[0] if role in ("model", "callbacks") and names and names[0] != "hp" else None


def _changes(use: ast.Name, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether the params are replaced, or something is put into them."""
    node = parents[use]
    if not isinstance(use.ctx, ast.Load):
        return True
    if isinstance(node, ast.Subscript):
        return not isinstance(node.ctx, ast.Load)
    return isinstance(node, ast.Attribute) and node.attr in ("update", "setdefault", "pop", "clear", "popitem")


def _is_taken_again(function: ast.FunctionDef, params: str) -> bool:
    """Whether a function inside has an argument of the same name."""
    inner = [node.args for node in ast.walk(function) if isinstance(node, ast.Lambda | ast.FunctionDef)]
    return sum(each.arg == params for args in inner for each in ast.walk(args) if isinstance(each, ast.arg)) > 1


def _is_plain(use: ast.Name, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether the params are only looked into, so that nobody else can have put anything into them."""
    node = parents[use]
    return isinstance(node, ast.Subscript | ast.Compare) or (isinstance(node, ast.Attribute) and node.attr == "get")


def _is_tried(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether a KeyError of this place may be expected."""
    while node in parents:
        node = parents[node]
        if isinstance(node, ast.Try) or (isinstance(node, ast.With) and "suppress" in ast.dump(node.items[0])):
            return True
    return False


def _always_runs(node: ast.AST, function: ast.FunctionDef, parents: dict[ast.AST, ast.AST]) -> bool:
    """Whether an expression is evaluated in any call of the function that does not raise before."""
    perhaps = (ast.IfExp, ast.BoolOp, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    while parents[node] is not function:
        node = parents[node]
        if isinstance(node, perhaps):
            return False
    if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Expr | ast.Return):
        return False
    before = function.body[: function.body.index(node)]
    return not any(isinstance(each, ast.Return | ast.Raise) for earlier in before for each in ast.walk(earlier))


def _tensorboard_in(function: ast.FunctionDef) -> int:
    """The line in which a function makes a TensorBoard in any call; 0 where it may not."""
    parents = {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(function):
        makes = isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "TensorBoard"
        if makes and _always_runs(node, function, parents):
            return int(getattr(node, "lineno", 0))
    return 0
