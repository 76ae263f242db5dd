"""One table from errors to HTTP: every error answers with problem+json (RFC 9457)."""

import logging
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from starlette.exceptions import HTTPException

from backend.domain import errors
from backend.schemas.base import FieldProblem, Problem

logger = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"

STATUS: dict[type[errors.DomainError], int] = {
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.TooLarge: 413,
    errors.UnsupportedImage: 422,
    errors.Invalid: 422,
    errors.IdempotencyMismatch: 422,
    errors.Conflict: 409,
    errors.Stale: 412,
    errors.PreconditionRequired: 428,
    errors.Unavailable: 503,
    errors.DomainError: 500,
}


def _answer(
    request: Request,
    kind: str,
    title: str,
    status: int,
    detail: str,
    fields: list[FieldProblem],
) -> JSONResponse:
    problem = Problem(
        type=f"urn:cisterna:problem:{kind}",
        title=title,
        status=status,
        detail=detail,
        instance=request.url.path,
        errors=fields,
    )
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = "5"
    return JSONResponse(problem.model_dump(), status, headers, MEDIA_TYPE)


def _kebab(kind: type) -> str:
    name = kind.__name__
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


def domain_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer for an error of the domain."""
    assert isinstance(error, errors.DomainError)
    status = next(STATUS[k] for k in type(error).__mro__ if k in STATUS)
    fields = (
        [FieldProblem(pointer=f"/{error.field}", detail=error.detail)]
        if error.field
        else []
    )
    return _answer(
        request, _kebab(type(error)), error.title, status, error.detail, fields
    )


def validation_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer for a body, path or query that does not fit its model."""
    assert isinstance(error, RequestValidationError)
    fields = [_wrong(request, item) for item in error.errors()]
    where = ", ".join(field.pointer for field in fields)
    return _answer(
        request,
        "invalid",
        "The input is not valid",
        422,
        f"Please mend {where}: {fields[0].detail if fields else 'see the API docs'}.",
        fields,
    )


def _wrong(request: Request, item: Mapping[str, Any]) -> FieldProblem:
    """Return what is wrong with one field, in words for who wrote the request."""
    where, what = item["loc"], item["msg"]
    if item["type"] == "json_invalid":
        where, what = ("body",), f"no JSON from character {where[-1]} on"
    elif where == ("body",) and isinstance(item["input"], bytes):
        kind = request.headers.get("content-type", "nothing")
        where = ("header", "content-type")
        what = f"send JSON with Content-Type application/json (not {kind})"
    return FieldProblem(pointer="/" + "/".join(map(str, where)), detail=what)


def http_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer for what the framework itself refuses (unknown path, wrong method)."""
    assert isinstance(error, HTTPException)
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:  # the framework has no mend
        detail = f"There is no {request.method} of this address; /docs lists what is."
    answer = _answer(request, "http", "Refused", error.status_code, detail, [])
    answer.headers.update(error.headers or {})
    return answer


def stale_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer when somebody else changed the row between our read and our write."""
    return domain_problem(
        request,
        errors.Stale("Somebody changed this at the same moment; read it again."),
    )


def database_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer when PostgreSQL is away, or a constraint caught what no check did."""
    if isinstance(error, IntegrityError):
        logger.warning("A constraint refused a write: %s", error.orig)
        return domain_problem(
            request,
            errors.Conflict("This collides with something that exists already."),
        )
    if isinstance(error, DataError):
        return domain_problem(
            request,
            errors.Invalid(
                "A value cannot be stored: text must not hold NUL characters, and "
                "numbers must lie in their range."
            ),
        )
    if isinstance(error, OperationalError | PoolTimeout):
        return domain_problem(
            request, errors.Unavailable("The database does not answer; try again.")
        )
    return unexpected_problem(request, error)


def unexpected_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer for a bug: an id to quote, never a traceback."""
    id = uuid.uuid4()
    logger.error("Unexpected error %s", id, exc_info=error)
    return _answer(
        request,
        "unexpected",
        "An error of the service",
        500,
        f"Something failed that should not; quote {id} to the admin.",
        [],
    )


def install(app: FastAPI) -> None:
    """Register all handlers."""
    app.add_exception_handler(errors.DomainError, domain_problem)
    app.add_exception_handler(RequestValidationError, validation_problem)
    app.add_exception_handler(HTTPException, http_problem)
    app.add_exception_handler(StaleDataError, stale_problem)
    app.add_exception_handler(DBAPIError, database_problem)
    app.add_exception_handler(PoolTimeout, database_problem)
    app.add_exception_handler(Exception, unexpected_problem)
