"""The description of the interface is kept: every route's, under requests of every kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import booleans
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from bandstand.store.accounts import Role
from bandstand.store.store import Store
from tests.service.store.written_study import make_spec

schemathesis.serializer("application/zip")(lambda ctx, value: value)
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
            # What fits the schema may still break a rule, such as one of a spec's.
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance], timeout=300)

        try:
            check()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # nothing can be wrong with a request without parameters


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


def test_the_reference_lists_every_request_and_every_metric(app, client_of):
    reference = Path(__file__).parents[3] / "docs/reference"
    requests, metrics = (reference / "http-api.md").read_text(), (reference / "metrics.md").read_text()
    for path, method, _ in operations(app):
        assert f"| [`{method.upper()} {path}`](#" in requests
    for line in client_of("vic", Role.VIEWER).get("/metrics").text.splitlines():
        if line.startswith("# TYPE") and not line.split()[2].endswith("_created"):
            assert f"| `{line.split()[2]}` |" in metrics, line
