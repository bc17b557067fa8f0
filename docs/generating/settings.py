"""The settings of a pydantic model as rows of a table: name, meaning, type with bounds, default.

Types and bounds come from the model's JSON schema, meanings from the fields' descriptions or from the strings below the
fields. Knows pydantic. Must not know which models there are.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.generating.markdown import code, table

__all__ = ["MissingMeaningError", "settings_table", "type_in_words"]

_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_FAR = 2**31 - 1
"""A bound beyond it is one of the machine, of which users need not know."""
_NAMES = {
    "integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`", "object": "table"
}  # fmt: skip


class MissingMeaningError(Exception):
    """A setting has no text that says what it means."""


def settings_table(
    model: type[BaseModel],
    *,
    column: str = "setting",
    prefix: str = "",
    types: Mapping[str, str] | None = None,
    defaults: Mapping[str, str] | None = None,
    left_out: tuple[str, ...] = (),
) -> str:
    """A table of a model's settings.

    Args:
        model: whose fields are the settings.
        column: the name of the first column.
        prefix: what stands before each name, such as `budget.`.
        types: words for fields whose schema says nothing.
        defaults: words for fields whose default says something else.
        left_out: fields that users do not set.

    Raises:
        MissingMeaningError: a field has no text.
    """
    meanings = _meanings(model)
    schema = model.model_json_schema()
    rows = [
        (
            code(prefix + name),
            meanings.get(name) or _raise_missing(model, name),
            (types or {}).get(name) or type_in_words(schema["properties"][name], schema.get("$defs", {})),
            (defaults or {}).get(name, _default(field)),
        )
        for name, field in model.model_fields.items()
        if name not in left_out
    ]
    return table((column, "meaning", "type", "default"), rows)


def _raise_missing(model: type[BaseModel], name: str) -> str:
    place = f"{model.__module__}.{model.__name__}.{name}"
    raise MissingMeaningError(f"{place} needs a string below it that says what it means")


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """Descriptions of fields; of those without one, the strings below them in the source, in base classes, too."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            found |= dict(_strings_below_fields(kind))
    described = {name: field.description for name, field in model.model_fields.items() if field.description}
    return {name: inspect.cleandoc(text) for name, text in (found | described).items()}


def _strings_below_fields(kind: type) -> Iterator[tuple[str, str]]:
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, below.value.value


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) or value in (None, "", (), [], {}):
        return ""
    if isinstance(value, float):
        value = float(f"{value:.4g}")
    return code(json.dumps(value, ensure_ascii=False))


def type_in_words(
    schema: Mapping[str, Any], defined: Mapping[str, Any], link: Callable[[str], str | None] = lambda _: None
) -> str:
    """A JSON schema as a few words: `whole number ≥ 1`, `"best"` or `"last"`.

    Args:
        schema: of one value.
        defined: what its references name.
        link: what stands for a reference instead of its schema, if anything does.
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return link(name) or type_in_words(defined[name], defined, link)
    if "allOf" in schema:
        return type_in_words(schema["allOf"][0], defined, link)
    if "anyOf" in schema:
        words = [type_in_words(each, defined, link) for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(words))
    if "enum" in schema:
        return " or ".join(code(json.dumps(each)) for each in schema["enum"])
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    if schema.get("type") == "array":
        return _list_in_words(schema, defined, link)
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        of = type_in_words(schema["additionalProperties"], defined, link)
        return f"table of {of}" if of else "table"
    name = _NAMES.get(schema.get("type", ""), "")
    bounds = [f"{sign} {schema[key]:g}" for key, sign in _BOUNDS.items() if abs(schema.get(key, _FAR)) < _FAR]
    return f"{name} {' and '.join(bounds)}".strip()


def _list_in_words(schema: Mapping[str, Any], defined: Mapping[str, Any], link: Callable[[str], str | None]) -> str:
    if "prefixItems" in schema:
        words = [type_in_words(each, defined, link) for each in schema["prefixItems"]]
        same = words[0] if len(set(words)) == 1 else "; ".join(words)
        return f"list of {len(words)}: {same}"
    of = type_in_words(schema.get("items", {}), defined, link)
    return f"list of {of}" if of else "list"
