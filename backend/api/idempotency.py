"""Idempotency-Key on every POST: a retry gets the stored answer, the work happens once.

The key is claimed and the answer stored in the same transaction as the work itself, so
a crash leaves either both or neither.
"""

import hashlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.api.deps import PrincipalDep, SessionDep
from backend.domain.errors import Conflict, IdempotencyMismatch
from backend.models import IdempotencyKey
from backend.services.access import now

KEPT_HEADERS = ("location", "etag", "content-type")


class Replay(Exception):
    """Carries the stored answer past the route."""

    def __init__(self, answer: Response) -> None:
        super().__init__("replayed")
        self.answer = answer


async def request_digest(request: Request) -> str:
    """SHA-256 of method, path, query and body; streaming routes do not ask for it."""
    digest = hashlib.sha256(f"{request.method} {request.url.path}?".encode())
    digest.update(request.url.query.encode())
    digest.update(await request.body())
    return digest.hexdigest()


def claim_key(
    request: Request,
    session: SessionDep,
    principal: PrincipalDep,
    digest: Annotated[str, Depends(request_digest)],
    idempotency_key: Annotated[
        str | None,
        Header(max_length=200, description="Any unique text; makes a retry safe."),
    ] = None,
) -> None:
    """Replay the stored answer of this key, or claim the key for this request."""
    if idempotency_key is None or request.method != "POST":
        return
    lock = func.pg_try_advisory_xact_lock(
        func.hashtextextended(f"{principal.id} {idempotency_key}", 0)
    )
    if not session.scalar(select(lock)):
        raise Conflict("A request with this Idempotency-Key is still running.")
    row = session.scalar(
        select(IdempotencyKey).where(
            IdempotencyKey.user_id == principal.id,
            IdempotencyKey.key == idempotency_key,
        )
    )
    if row is None:
        request.state.idempotency = IdempotencyKey(
            user_id=principal.id,
            key=idempotency_key,
            request_digest=digest,
            created_at=now(),
        )
        return
    if row.request_digest != digest:
        raise IdempotencyMismatch(
            "This Idempotency-Key came with another request before; use a fresh one.",
            field="Idempotency-Key",
        )
    headers = {name: str(value) for name, value in (row.headers or {}).items()}
    raise Replay(
        Response(
            row.body,
            row.status or 200,
            {**headers, "idempotency-replayed": "true"},
        )
    )


class IdempotentRoute(APIRoute):
    """Stores the answer beside the work, before the request's transaction commits."""

    def get_route_handler(
        self,
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route; the function-scoped session is still open when it returns."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            response = await inner(request)
            key: IdempotencyKey | None = getattr(request.state, "idempotency", None)
            if key is not None and response.status_code < 400:
                await run_in_threadpool(_keep, request.state.session, key, response)
            return response

        return handle


def _keep(session: Session, key: IdempotencyKey, response: Response) -> None:
    key.status = response.status_code
    key.headers = {
        name: response.headers[name]
        for name in KEPT_HEADERS
        if name in response.headers
    }
    key.body = bytes(response.body)
    session.add(key)
    session.flush()


async def replay(request: Request, error: Exception) -> Response:
    """Answer with the stored response."""
    assert isinstance(error, Replay)
    return error.answer
