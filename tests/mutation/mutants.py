"""The changes: each is one node of a function's syntax tree, put in the place of another one.

Knows Python's syntax. Must not know tests.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["Mutant", "apply", "function_of", "list_mutants"]

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of one function."""

    module: str
    function: str
    """Its qualified name."""
    line: int
    was: str
    becomes: str
    code: CodeType

    @property
    def name(self) -> str:
        """For people, and the same whatever else changes in the file above it."""
        return f"{self.module}:{self.function}: {self.was} -> {self.becomes}"


def list_mutants(module: ModuleType) -> Iterator[Mutant]:
    """Every change of every function of a module."""
    source = Path(str(module.__file__)).read_text()
    tree = ast.parse(source)
    for name, node in _functions(tree):
        for place, old, new in _changes(node):
            changed = copy.deepcopy(tree)
            twin = dict(_functions(changed))[name]
            _replace(twin, place, new)
            code = compile(ast.fix_missing_locations(changed), str(module.__file__), "exec", dont_inherit=True)
            found = _code_of(code, name)
            if found is not None:
                yield Mutant(
                    module=module.__name__,
                    function=name,
                    line=old.lineno,
                    was=_short(old),
                    becomes=_short(new),
                    code=found,
                )


def function_of(module: str, name: str) -> FunctionType | None:
    """The function itself, below whatever decorates it."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = inspect.getattr_static(found, part, None) if inspect.isclass(found) else getattr(found, part, None)
    while found is not None and not isinstance(found, FunctionType):
        found = getattr(found, "fget", None) or getattr(found, "__func__", None) or getattr(found, "__wrapped__", None)
    return found


def apply(mutant: Mutant) -> bool:
    """Put the change into the function that this process runs; tells whether it could be."""
    function = function_of(mutant.module, mutant.function)
    if function is None or function.__code__.co_freevars != mutant.code.co_freevars:
        return False
    function.__code__ = mutant.code
    return True


def _functions(tree: ast.Module) -> list[tuple[str, ast.FunctionDef]]:
    found = [(node.name, node) for node in tree.body if isinstance(node, ast.FunctionDef)]
    for kind in tree.body:
        if isinstance(kind, ast.ClassDef):
            found += [(f"{kind.name}.{node.name}", node) for node in kind.body if isinstance(node, ast.FunctionDef)]
    return found


def _changes(function: ast.FunctionDef) -> Iterator[tuple[int, ast.AST, ast.AST]]:
    """What may be changed in a function: the place among its nodes, the node, the one in its place."""
    nodes = list(_body(function))
    for place, node in enumerate(nodes):
        for new in _variants(node):
            yield place, node, new


def _body(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of a function's statements in a fixed order, without its docstring, defaults and annotations."""
    for statement in function.body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        yield from ast.walk(statement)


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARISONS:
            for kind in _COMPARISONS[type(operator)]:
                yield ast.copy_location(ast.Compare(node.left, [kind()], node.comparators), node)
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield ast.copy_location(ast.BoolOp(other, node.values), node)
            for left_out in range(len(node.values)):
                rest = node.values[:left_out] + node.values[left_out + 1 :]
                yield ast.copy_location(rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest), node)
        case ast.UnaryOp(op=ast.Not()):
            yield ast.copy_location(copy.deepcopy(node.operand), node)
        case ast.UnaryOp(op=ast.USub()):
            yield ast.copy_location(copy.deepcopy(node.operand), node)
        case ast.BinOp() if type(node.op) in _OPERATORS:
            yield ast.copy_location(ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right), node)
        case ast.AugAssign() if type(node.op) in _OPERATORS:
            yield ast.copy_location(ast.AugAssign(node.target, _OPERATORS[type(node.op)](), node.value), node)
        case ast.Constant(value=bool() as value):
            yield ast.copy_location(ast.Constant(not value), node)
        case ast.Constant(value=int() | float() as value):
            yield ast.copy_location(ast.Constant(value + 1), node)
        case ast.IfExp():
            yield ast.copy_location(copy.deepcopy(node.body), node)
            yield ast.copy_location(copy.deepcopy(node.orelse), node)
        case ast.If() | ast.While():
            yield _with_test(node, value=False)
            if isinstance(node, ast.If):
                yield _with_test(node, value=True)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.copy_location(ast.Return(ast.copy_location(ast.Constant(None), value)), node)
        case ast.Expr(value=ast.Call()):
            yield ast.copy_location(ast.Pass(), node)
        case ast.Break():
            yield ast.copy_location(ast.Continue(), node)
        case ast.Continue():
            yield ast.copy_location(ast.Break(), node)


def _with_test(node: ast.If | ast.While, *, value: bool) -> ast.stmt:
    changed = copy.deepcopy(node)
    changed.test = ast.copy_location(ast.Constant(value), node.test)
    return changed


def _replace(function: ast.FunctionDef, place: int, new: ast.AST) -> None:
    """Put a node in the place of the one that has this number in the function."""
    old = list(_body(function))[place]

    class Replacing(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return copy.deepcopy(new) if node is old else self.generic_visit(node)

    Replacing().visit(function)


def _code_of(code: CodeType, name: str) -> CodeType | None:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname == name:
                return constant
            if found := _code_of(constant, name):
                return found
    return None


def _short(node: ast.AST) -> str:
    if isinstance(node, ast.If | ast.While):
        return f"{type(node).__name__.lower()} {ast.unparse(node.test)}"
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else f"{text[:87]}..."
