"""A canary for the API's description, to which FastAPI's own is only the beginning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fastapi
from starlette.testclient import TestClient

from bandstand.api.app import make_app
from bandstand.api.schemas.problem_details import ProblemDetails


def references_in(described: Any) -> Iterator[str]:
    if isinstance(described, dict):
        if isinstance(described.get("$ref"), str):
            yield described["$ref"]
        described = list(described.values())
    if isinstance(described, list):
        for part in described:
            yield from references_in(part)


def test_every_name_in_the_served_description_is_explained_in_it_the_form_of_errors_too(store) -> None:
    described = TestClient(make_app(store)).get("/openapi.json").json()
    for reference in set(references_in(described)):
        found = described
        for step in reference.removeprefix("#/").split("/"):
            assert step in found, (
                f"FastAPI {fastapi.__version__} serves a description that is not made by the method openapi of the "
                f"application, so that {reference} is missing: see its documentation, Extending OpenAPI"
            )
            found = found[step]
    problem = described["components"]["schemas"]["ProblemDetails"]
    assert set(problem["properties"]) == set(ProblemDetails.model_fields)
