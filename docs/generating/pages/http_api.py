"""The server's HTTP interface, from its description in OpenAPI and from the roles that its routes ask for."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, get_args, get_type_hints
from unittest.mock import MagicMock

from fastapi import APIRouter
from fastapi.routing import APIRoute

from bandstand.api import routes
from bandstand.api.access.authentication import Admin, Submitter, Viewer
from bandstand.api.app import make_app
from docs.generating.markdown import anchor, code, page, table
from docs.generating.settings import type_in_words

__all__ = ["make"]

Described = Mapping[str, Any]
_ROLES = {
    get_args(kind)[1].dependency: name
    for name, kind in (("viewer", Viewer), ("submitter", Submitter), ("admin", Admin))
}
"""What a route depends on to have its callers checked, and the least role that passes."""


def make() -> str:
    """The page."""
    app = make_app(MagicMock())  # describing an application asks its store nothing
    described = app.openapi()
    roles = {
        (method, route.path_format): _role(route.endpoint) for route in _routes() for method in route.methods or ()
    }
    operations = [
        (method.upper(), path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = described["components"]["schemas"]
    rows = [
        (
            f"[{code(f'{method} {path}')}](#{anchor(f'{method} {path}')})",
            roles[method, path] or ("any" if operation.get("security") else "no token"),
            _summary(operation),
        )
        for method, path, operation in operations
    ]
    return page(
        "HTTP API",
        inspect.cleandoc(described["info"]["description"]),
        "A server describes itself at `/openapi.json`. Three roles build on one another: a *viewer* may look, a "
        "*submitter* "
        "may also submit studies and change those of their own, and an *admin* may change every study. The tables name "
        "the least role that a request needs.",
        "* Names may hold slashes.\n"
        "* A list comes in pages: `after` takes the `next` of the page before.\n"
        '* Numbers that are not finite are the texts `"NaN"`, `"Infinity"` and `"-Infinity"`.\n'
        "* Every error is a problem (RFC 9457) with one line in `detail`. Its status is that of [Errors](errors.md).",
        table(("request", "role", "what it does"), rows),
        *(_operation(method, path, operation, roles[method, path], schemas) for method, path, operation in operations),
        "## Bodies",
        *(_schema(name, schema, schemas) for name, schema in sorted(schemas.items()) if schema.get("properties")),
    )


def _routes() -> Iterator[APIRoute]:
    """All routes of the server's interface, as their modules define them."""
    for found in pkgutil.iter_modules(routes.__path__, f"{routes.__name__}."):
        for router in vars(import_module(found.name)).values():
            if isinstance(router, APIRouter):
                yield from (route for route in router.routes if isinstance(route, APIRoute))


def _role(endpoint: Callable[..., Any]) -> str | None:
    hints = get_type_hints(endpoint, include_extras=True)
    depends = (getattr(part, "dependency", None) for hint in hints.values() for part in get_args(hint)[1:])
    return next((_ROLES[each] for each in depends if each in _ROLES), None)


def _summary(operation: Described) -> str:
    return inspect.cleandoc(operation.get("description") or operation.get("summary", "")).split("\n\n")[0]


def _operation(method: str, path: str, operation: Described, role: str | None, schemas: Described) -> str:
    parts = [
        f"## {method} {path}",
        inspect.cleandoc(operation.get("description") or operation.get("summary", "")),
        f"Role: {role}." if role else "Role: any." if operation.get("security") else "It needs no token.",
    ]
    rows = [
        (
            code(each["name"]),
            each.get("description") or each["schema"].get("description", ""),
            _type(each["schema"], schemas),
            _default(each["schema"]),
            each["in"],
        )
        for each in operation.get("parameters", ())
    ]
    if rows:
        parts.append(table(("parameter", "meaning", "type", "default", "in"), rows))
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"Body: {_references(content.get('schema', {}), schemas) or code(kind)}.")
    statuses = [
        f"{status} ({_answer(answer, schemas)})" if _answer(answer, schemas) else status
        for status, answer in operation["responses"].items()
    ]
    return "\n\n".join([*parts, f"Answers: {', '.join(statuses)}."])


def _answer(answer: Described, schemas: Described) -> str:
    return " or ".join(
        name
        for content in answer.get("content", {}).values()
        if (name := _references(content.get("schema", {}), schemas)) and "ProblemDetails" not in name
    )


def _type(schema: Described, schemas: Described) -> str:
    """Words for a schema, with links to bodies that have a table."""

    def link(name: str) -> str | None:
        return f"[{name}](#{anchor(name)})" if schemas[name].get("properties") else None

    return type_in_words(schema, schemas, link)


def _references(schema: Described, schemas: Described) -> str:
    """The body that a schema names; nothing where it names none."""
    return _type(schema, schemas) if "$ref" in str(schema) else ""


def _schema(name: str, schema: Described, schemas: Described) -> str:
    required = schema.get("required", ())
    rows: list[tuple[str, ...]] = [
        (
            code(field),
            described.get("description", ""),
            _type(described, schemas),
            "required" if field in required else _default(described),
        )
        for field, described in schema["properties"].items()
    ]
    columns: tuple[str, ...] = ("field", "meaning", "type", "default")
    if not any(meaning for _, meaning, *_ in rows):
        columns, rows = ("field", "type", "default"), [(row[0], *row[2:]) for row in rows]
    about = inspect.cleandoc(schema.get("description", ""))
    return "\n\n".join([f"### {name}", *([about] if about else []), table(columns, rows)])


def _default(described: Described) -> str:
    return "" if described.get("default") is None else code(described["default"])
