"""How routers are made, so that no route can forget its guards."""

from typing import Any

from fastapi import APIRouter, Depends

from backend.api.deps import get_principal, get_principal_briefly, refuse_nul
from backend.api.idempotency import IdempotentRoute, claim_key
from backend.schemas.base import Problem

MAX_BODY = 64 * 2**20
"""Largest body of a route that holds it in memory; streams have limits of their own."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"}
            }
        },
    }
    for status, text in {
        401: "No valid token or session",
        403: "The role does not allow it",
        404: "No such object, or not yours to see",
        409: "Not possible in the present state",
        412: "Somebody changed it in the meantime",
        413: "Too large",
        422: "The input is not valid",
        428: "If-Match is required",
        503: "Temporarily unavailable",
    }.items()
}


def guarded(tag: str) -> APIRouter:
    """Return a router for one noun: principal required, POSTs idempotent."""
    return APIRouter(
        tags=[tag],
        route_class=IdempotentRoute,
        dependencies=[
            Depends(get_principal),
            Depends(refuse_nul),
            Depends(claim_key),
        ],
        responses=PROBLEMS,
        max_body_size=MAX_BODY,
    )


def streaming(tag: str) -> APIRouter:
    """Return a router for byte and event streams.

    A stream keeps even function-scoped dependencies open to its end, so these routes
    must not take the request's session; the principal comes from a short one.
    """
    return APIRouter(
        tags=[tag],
        dependencies=[Depends(get_principal_briefly), Depends(refuse_nul)],
        responses=PROBLEMS,
    )


__all__ = ["MAX_BODY", "PROBLEMS", "Problem", "guarded", "streaming"]
