"""The fingerprint of a user's code: every definition that a study's functions can reach, read without importing it.

A part is what a module binds to one name at its top, or all statements there that bind nothing. Comments, docstrings
and layout do not count, nor what no function of the study uses, such as the lines under `if __name__ == "__main__":`.
Names that are computed (`getattr`, `importlib`) are not followed. Knows Python's syntax. Must not know stored studies.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeGuard

from bandstand.study.references import InteractiveReference
from bandstand.study.study_spec import StudySpec
from bandstand.study.users_code.needed_modules import needed_modules
from bandstand.study.users_code.packed_functions import is_packed
from bandstand.study.users_code.user_modules import find_module, find_source
from bandstand.trials.code_fingerprint import CodePrint

__all__ = ["code_print"]

_DIGITS = 12
_LOOSE = "statements at the top"
"""The part of a module's statements that bind no name."""
_RUNS_STUDIES = "run_study"
"""An import for workers ends at the first call of it (`stop_script`)."""
_OF_NO_MATTER = {"print", "submit", "compare"}
"""Calls, alone in a statement at a module's top, that change nothing in what is trained."""
_COMPOUND = (ast.If, ast.For, ast.While, ast.Try, ast.With)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def code_print(spec: StudySpec, folders: Sequence[str]) -> CodePrint:
    """The fingerprint of the code that a study trains with.

    Args:
        spec: the study. Functions that no module holds are passed over: their names change when they do.
        folders: in which the user's modules are looked for, besides what is installed.

    Returns:
        Parts are named by their file and name, such as `layers/blocks.py: residual`.
    """
    sources = _Sources(folders)
    for _, reference in spec.named_references:
        if not isinstance(reference, InteractiveReference) and not is_packed(reference):
            module, _, name = reference.partition(":")
            sources.reach(module, name)
    return CodePrint(python=f"{sys.version_info[0]}.{sys.version_info[1]}", parts=dict(sorted(sources.parts.items())))


class _Sources:
    """What is reached from some names, with the modules that were read for it."""

    def __init__(self, folders: Sequence[str]):
        self.parts: dict[str, str] = {}
        self._folders = folders
        self._modules: dict[str, _Module | None] = {}

    def reach(self, module: str, name: str | None) -> None:
        """Take in what a module binds to a name, and all that it uses; None for all of the module."""
        waiting: list[tuple[str, str | None]] = [(module, name)]
        seen: set[tuple[str, str | None]] = set()
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting += self._reached_from(*one)

    def _reached_from(self, name: str, part: str | None) -> Iterator[tuple[str, str | None]]:
        module = self._read(name)
        if module is None:
            return
        if "." in name:
            yield name.rpartition(".")[0], _LOOSE  # a package is imported before its modules
        if part is None:
            yield from ((name, each) for each in module.bound)
        elif part != _LOOSE:
            yield name, _LOOSE  # an import runs them
            if part not in module.bound:
                yield from ((star, part) for star in module.stars)
        if part == _LOOSE:  # what is imported runs, whether or not its names are used
            yield from module.imports()
        statements = module.loose if part in (None, _LOOSE) else module.bound.get(part, [])
        if statements:
            self.parts[f"{module.label}: {part or _LOOSE}"] = _digest(statements, part)
        for statement in statements:
            yield from module.used_by(statement, part)

    def _read(self, name: str) -> _Module | None:
        """The module, if it is the user's and can be read."""
        if name not in self._modules:
            file = find_source(name, self._folders) or self._installed(name)
            self._modules[name] = None if file is None else _Module.read(name, file)
        return self._modules[name]

    def _installed(self, name: str) -> Path | None:
        """The source of a module of the user's that is installed, as packages under development are."""
        top = name.partition(".")[0]
        read = {each.partition(".")[0] for each in self._modules if self._modules[each] is not None}
        if (self._modules and top not in read) or top in needed_modules() or top in sys.stdlib_module_names:
            return None  # a library is only followed where the study names it
        spec = find_module(name, self._folders)
        origin = None if spec is None else spec.origin
        return Path(origin) if origin and origin.endswith(".py") else None


class _Module:
    """A module's statements, by what they bind."""

    def __init__(self, name: str, file: Path, tree: ast.Module):
        """Use `read`."""
        self.label = file.name if "." not in name else "/".join([*name.split(".")[:-1], file.name])
        if file.name == "__init__.py":
            self.label = "/".join([*name.split("."), file.name])
        self.bound: dict[str, list[ast.stmt]] = {}
        self.loose: list[ast.stmt] = []
        self.stars: list[str] = []
        """Modules from which everything is imported."""
        self._package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        self._name = name
        for statement in _imported_part(tree.body):
            names = list(_bound_by(statement))
            for each in names:
                self.bound.setdefault(each, []).append(statement)
            if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
                self.stars.append(self._absolute(statement))
                self.loose.append(statement)
            elif not names or self._acts(statement):
                self.loose.append(statement)

    def _acts(self, statement: ast.stmt) -> bool:
        """Whether a statement that binds names may do more than that when the module is imported."""
        if isinstance(statement, _COMPOUND):
            return not all(isinstance(each, ast.Import | ast.ImportFrom) for each in _inner(statement))
        if isinstance(statement, _DEFINITIONS):  # @register puts it into a table of the user's
            return any(_root_of(each) in self.bound for each in statement.decorator_list if not _is_of_keras(each))
        if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            return False
        calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
        return any(_name_of(call).startswith("set_") or self._changes_own(call) for call in calls)

    def _changes_own(self, call: ast.Call) -> bool:
        """Whether it calls a method of something that this module has made, such as `L.pop()`."""
        base = call.func.value if isinstance(call.func, ast.Attribute) else None
        made = self.bound.get(base.id, []) if isinstance(base, ast.Name) else []
        return any(isinstance(each, ast.Assign | ast.AnnAssign) for each in made)

    @classmethod
    def read(cls, name: str, file: Path) -> _Module | None:
        """The module of a file; None where it cannot be read, which others tell."""
        try:
            return cls(name, file, ast.parse(file.read_bytes()))
        except (OSError, SyntaxError, ValueError):
            return None

    def used_by(self, statement: ast.stmt, part: str | None) -> Iterator[tuple[str, str | None]]:
        """What a statement uses: names of this module, and what it imports; of an import only what binds `part`."""
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in _aliases(statement, part):
                yield from self._imported(statement, alias, _LOOSE)
            return
        inside: set[ast.AST] = set()  # names that only stand before a dot
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                inside.add(node.value)
                yield from self._used(node.value.id, node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node not in inside:
                yield from self._used(node.id, None)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    yield from self._imported(node, alias, None)

    def imports(self) -> Iterator[tuple[str, str | None]]:
        """What the import statements at the top run."""
        for statements in self.bound.values():
            for statement in statements:
                if isinstance(statement, ast.Import | ast.ImportFrom):
                    for alias in statement.names:
                        yield from self._run_by(statement, alias)

    def _run_by(self, statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> Iterator[tuple[str, str | None]]:
        if isinstance(statement, ast.Import):
            yield alias.name, _LOOSE
        else:
            origin = self._absolute(statement)
            yield origin, _LOOSE
            yield f"{origin}.{alias.name}" if origin else alias.name, _LOOSE

    def _used(self, name: str, attribute: str | None) -> Iterator[tuple[str, str | None]]:
        """What `name`, or `name.attribute`, stands for."""
        if name not in self.bound:
            yield from ((star, name) for star in self.stars)
        yield self._name, name
        for statement in self.bound.get(name, []):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                for alias in _aliases(statement, name):
                    yield from self._imported(statement, alias, attribute)

    def _imported(
        self, statement: ast.Import | ast.ImportFrom, alias: ast.alias, attribute: str | None
    ) -> Iterator[tuple[str, str | None]]:
        """What an import gives, if it is a module, by one of its names; None for all of it."""
        if isinstance(statement, ast.Import):
            bound = alias.name if alias.asname or attribute in (None, _LOOSE) else alias.name.partition(".")[0]
            yield bound, attribute
            if bound != alias.name:  # import a.b, then a.b.c: all of a.b
                yield alias.name, None
            return
        origin = self._absolute(statement)
        if alias.name == "*":
            yield origin, _LOOSE if attribute == _LOOSE else None
            return
        yield origin, alias.name
        yield f"{origin}.{alias.name}" if origin else alias.name, attribute

    def _absolute(self, node: ast.ImportFrom) -> str:
        """The module that an import statement names."""
        if not node.level:
            return node.module or ""
        parts = self._package.split(".")
        return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def _imported_part(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs when workers import a module and may matter to what it defines."""
    for statement in body:
        if isinstance(statement, _DEFINITIONS):
            yield statement
        elif _runs_a_study(statement):
            return
        elif _is_main_guard(statement):
            yield from _imported_part(statement.orelse)
        elif not _is_idle(statement):
            yield statement


def _is_main_guard(statement: ast.stmt) -> TypeGuard[ast.If]:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) in (
        "__name__ == '__main__'",
        "'__main__' == __name__",
    )


def _is_idle(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring, or a call that only shows or submits something."""
    if not isinstance(statement, ast.Expr):
        return isinstance(statement, ast.Pass)
    if isinstance(statement.value, ast.Constant):
        return True
    call = statement.value
    if not isinstance(call, ast.Call) or _name_of(call) not in _OF_NO_MATTER:
        return False
    if _name_of(call) == "print":
        return not any(isinstance(node, ast.Call) for each in call.args for node in ast.walk(each))
    return _root_of(call) in ("client", "Client", "bandstand")


def _runs_a_study(statement: ast.stmt) -> bool:
    """Whether every import ends here: a call of it is what the statement begins with, as `x = run_study(…).trials`."""
    node: ast.AST | None = getattr(statement, "value", None)
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        if isinstance(node, ast.Call):
            if _name_of(node) == _RUNS_STUDIES:
                return not isinstance(node.func, ast.Attribute) or _root_of(node) == "bandstand"
            node = node.func
        else:
            node = node.value
    return False


def _root_of(node: ast.AST) -> str:
    """The name that an expression such as `a.b(c).d` begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_of_keras(decorator: ast.AST) -> bool:
    return _root_of(decorator) in ("keras", "tf", "tensorflow", "functools", "dataclass", "dataclasses")


def _inner(statement: ast.stmt) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.ExceptHandler):
            yield from child.body
        elif isinstance(child, ast.stmt):
            yield child


def _name_of(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at a module's top binds, those of statements inside it included."""
    if isinstance(statement, _DEFINITIONS):
        yield statement.name
        return
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names if alias.name != "*")
        return
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt | ast.ExceptHandler):
            yield from _bound_by(child) if isinstance(child, ast.stmt) else _bound_in(child.body)
        else:
            for node in ast.walk(child):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id


def _bound_in(body: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in body:
        yield from _bound_by(statement)


def _aliases(statement: ast.Import | ast.ImportFrom, name: str | None) -> list[ast.alias]:
    """Those of an import that bind a name; all of them for None."""
    return [
        alias
        for alias in statement.names
        if name in (None, alias.asname or alias.name.partition(".")[0]) or alias.name == "*"
    ]


def _digest(statements: Sequence[ast.stmt], part: str | None) -> str:
    text = "\n".join(_text_of(statement, part) for statement in statements)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _text_of(statement: ast.stmt, part: str | None) -> str:
    """A statement without comments, docstrings and layout; of an import only what binds `part`."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        origin = f"{'.' * statement.level}{statement.module or ''}" if isinstance(statement, ast.ImportFrom) else ""
        return f"{origin} {', '.join(ast.unparse(alias) for alias in _aliases(statement, part))}"
    return ast.unparse(_WithoutDocstrings().visit(statement))


class _WithoutDocstrings(ast.NodeTransformer):
    """Takes the docstrings out of definitions. The statements are not used after that."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """As `NodeTransformer`."""
        super().generic_visit(node)
        if isinstance(node, _DEFINITIONS) and len(node.body) > 1 and _is_text(node.body[0]):
            del node.body[0]
        return node


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
