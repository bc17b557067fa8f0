"""The description of the interface is kept: every route's, under requests of every kind."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans
from schemathesis import GenerationMode

from service.accounts import Role
from service.store import Store
from tests.service.test_store import make_spec

OPEN = {"/healthz", "/readyz"}
METHODS = ("get", "head", "post", "put", "delete", "patch")


@pytest.fixture(scope="module")
def schema(app, store: Store) -> Any:
    """The interface, with a study called as its examples have it, which has ended."""
    writer = store.claim(make_spec(name="digits"), "a test")
    writer.set_study(state="finished")
    writer.close()
    return schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("role", [None, *Role])
def test_every_answer_is_declared_and_none_is_a_failure_of_the_server(schema, store: Store, role, mode):
    headers = {}
    if role is not None:
        headers["Authorization"] = f"Bearer {store.accounts.create_token('ada', role, days=1).text}"

    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=mode), is_known=booleans())
        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        def check(case, is_known):
            if is_known and "name" in case.path_parameters:
                case.path_parameters["name"] = "digits"
            case.call_and_validate(headers=headers)

        check()


def operations(app) -> list[tuple[str, str, dict[str, Any]]]:
    paths = app.openapi()["paths"].items()
    return [(path, method, item[method]) for path, item in paths for method in METHODS if method in item]


def test_every_route_declares_its_problems_and_needs_a_token(app, nobody):
    for path, method, operation in operations(app):
        if path in OPEN:
            continue
        declared = set(operation["responses"])
        assert {"401", "429", "503"} <= declared, (path, method)
        assert operation["security"], (path, method)
        if "{" in path:
            assert "422" in declared, (path, method)
        if method in ("post", "put", "delete"):
            assert "403" in declared, (path, method)
        if "requestBody" in operation:
            assert "413" in declared, (path, method)
        asked = path.replace("{name}", "digits").replace("{sha256}", "0" * 64)
        assert nobody.request(method, asked, json={}).status_code == 401, (path, method)


def test_operations_have_readable_ids_and_are_explained(app):
    ids = [operation["operationId"] for _, _, operation in operations(app)]
    assert len(set(ids)) == len(ids)
    assert all(one.replace("_", "").isalpha() and one.islower() for one in ids)
    assert all(operation["description"] for _, _, operation in operations(app))
