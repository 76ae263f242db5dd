"""The OpenAPI document: kept in step, an example for each body, no answer breaks it."""

from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import schemathesis
from fastapi import FastAPI
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backend.api import document
from backend.app import detached
from backend.settings import Settings

KEPT = Path(__file__).parents[1] / "frontend" / "openapi.json"
schemathesis.serializer.alias(
    "application/offset+octet-stream", "application/octet-stream"
)
EXAMPLES = 10
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_the_page_is_built_from_the_present_document(tmp_path: Path) -> None:
    # compared as a whole: a diff of so many lines would take minutes
    same = KEPT.read_text() == document.text(detached(tmp_path))
    assert same, "frontend/openapi.json is out of date: run `make openapi`, commit it."


def test_operations_have_names_of_their_own(tmp_path: Path) -> None:
    names = Counter(
        operation["operationId"]
        for operations in detached(tmp_path).openapi()["paths"].values()
        for operation in operations.values()
    )
    assert [name for name, count in names.items() if count > 1] == []
    assert {"images-upload_image", "people-open_session"} <= names.keys()


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


def test_no_input_breaks_the_service(
    app: FastAPI, settings: Settings, project: str
) -> None:
    token = settings.admin_token_file.read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    broken = []
    # a stream of events does not end by itself
    for found in schema.exclude(path_regex="/events$").get_all_operations():
        operation = found.ok()

        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate],
        )
        @hypothesis.given(case=operation.as_strategy())
        def fuzz(case: schemathesis.Case) -> None:
            if "project" in (case.path_parameters or {}):
                case.path_parameters["project"] = project
            case.call_and_validate(headers=headers, checks=CHECKS)

        try:
            fuzz()
        except BaseExceptionGroup as error:
            broken.append(f"{operation.label}: {error.exceptions}")
    assert broken == [], "\n\n".join(broken)
