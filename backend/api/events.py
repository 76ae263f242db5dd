"""Events: a project's changes as they happen, as Server-Sent Events."""

import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated

import redis
from fastapi import Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from backend.api.deps import DatabaseDep, StreamPrincipalDep
from backend.api.projects import Key
from backend.api.routing import streaming
from backend.bus import Bus
from backend.domain.states import Role
from backend.services import access

router = streaming("events")
LIFETIME = 600
"""Seconds after which a stream ends, so that a role taken away is noticed."""
RETRY = 10_000
"""Milliseconds a client waits before it tries again without the broker."""


def watched_project(
    project: Key, principal: StreamPrincipalDep, database: DatabaseDep
) -> uuid.UUID:
    """The id of a project the person may see, from a session that is closed again."""
    with database.unit_of_work() as session:
        return access.project(session, principal, project, Role.VIEWER).id


@router.get("/projects/{project}/events", response_class=EventSourceResponse)
async def stream_events(
    request: Request,
    project_id: Annotated[uuid.UUID, Depends(watched_project)],
    last_event_id: Annotated[
        str | None,
        Header(
            pattern=r"^\d{1,20}-\d{1,20}$",
            description="Id of the last event seen; what came after it is sent first.",
        ),
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Stream changes of a project.

    An event names the object that changed and its new state; fetch it to know more. The
    stream ends after some minutes, and at once with an event `unavailable` when the
    broker is away: connect again with the last id, and until then ask now and then.
    """
    bus: Bus = request.app.state.bus
    end = time.monotonic() + LIFETIME
    yield ServerSentEvent(comment="listening")
    try:
        async for entry in bus.read(project_id, last_event_id or "$"):
            if entry is not None:
                id, fields = entry
                yield ServerSentEvent(id=id, data=fields)
            if time.monotonic() > end:
                return
    except redis.RedisError:
        yield ServerSentEvent(
            event="unavailable",
            data={"detail": "The broker does not answer; ask now and then instead."},
            retry=RETRY,
        )
