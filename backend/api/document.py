"""The OpenAPI document, with the models that only hand-written references name."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from backend.schemas.base import Problem
from backend.schemas.task import RleMask

_REFERRED = (Problem, RleMask)


def operation_id(route: APIRoute) -> str:
    """Name a route in the document by its noun and verb, like `images-upload_image`."""
    return f"{route.tags[0] if route.tags else 'page'}-{route.name}"


def text(app: FastAPI) -> str:
    """Return the document as the lines that are kept in frontend/openapi.json."""
    return json.dumps(app.openapi(), indent=1) + "\n"


def install(app: FastAPI) -> None:
    """Add the schemas of these models to the app's document."""
    plain = app.openapi
    _, definitions = models_json_schema(
        [(model, "validation") for model in _REFERRED],
        ref_template="#/components/schemas/{model}",
    )

    def complete() -> dict[str, Any]:
        document = plain()
        document["components"]["schemas"].update(definitions["$defs"])
        return document

    app.openapi = complete  # type: ignore[method-assign]
