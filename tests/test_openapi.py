"""The OpenAPI document: an example for each body, and no answer that breaks it."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backend.settings import Settings


def test_every_body_has_an_example(app: FastAPI) -> None:
    document = app.openapi()
    without = [
        f"{method.upper()} {path} {kind}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for kind, body in operation.get("requestBody", {}).get("content", {}).items()
        if not has_example(document, body)
    ]
    assert without == []


def has_example(document: dict[str, Any], body: dict[str, Any]) -> bool:
    if "example" in body or "examples" in body:
        return True
    name = body["schema"].get("$ref", "").rpartition("/")[2]
    model = document["components"]["schemas"].get(name, {})
    fields = model.get("properties", {}).values()
    return "examples" in model or any("examples" in field for field in fields)


@pytest.fixture
def document(app: FastAPI) -> Any:
    return schemathesis.openapi.from_asgi("/api/openapi.json", app)


# a stream of events does not end by itself
schema = schemathesis.pytest.from_fixture("document").exclude(path_regex="/events$")


@schema.parametrize()
@hypothesis.settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
def test_no_input_breaks_the_service(
    case: schemathesis.Case, settings: Settings, project: str
) -> None:
    if "project" in (case.path_parameters or {}):
        case.path_parameters["project"] = project
    token = settings.admin_token_file.read_text().strip()
    case.call_and_validate(
        headers={"Authorization": f"Bearer {token}"},
        checks=[
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )
