"""The OpenAPI document, with the models that only hand-written references name."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from backend.schemas.base import Problem
from backend.schemas.task import RleMask

_REFERRED = (Problem, RleMask)


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
