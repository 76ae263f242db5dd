"""The ledger: putting jobs in, cancelling them."""

import datetime as dt
import uuid

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from backend.db import publish_after_commit, ring_after_commit
from backend.domain.errors import Conflict
from backend.domain.events import Event, EventKind
from backend.domain.states import JobKind, JobState, Lane
from backend.models import Job


def enqueue(
    session: Session,
    kind: JobKind,
    lane: Lane,
    payload: dict[str, object],
    *,
    project_id: uuid.UUID,
    dedupe_key: str | None = None,
    requested_by: uuid.UUID | None = None,
    max_attempts: int = 3,
    not_before: dt.datetime | None = None,
) -> Job:
    """Queue a job in the caller's transaction and ring after its commit.

    Raises Conflict if a job with this `dedupe_key`, or another training of the same
    project, is queued or running.
    """
    id = session.scalar(
        insert(Job)
        .values(
            id=uuid.uuid4(),
            project_id=project_id,
            kind=kind,
            lane=lane,
            payload=payload,
            state=JobState.QUEUED,
            dedupe_key=dedupe_key,
            requested_by=requested_by,
            max_attempts=max_attempts,
            not_before=not_before,
        )
        .on_conflict_do_nothing()
        .returning(Job.id)
    )
    if id is None:
        raise Conflict(
            f"A {kind} job for this is queued or running already; wait or cancel it."
        )
    ring_after_commit(session, id, lane)
    announce(session, project_id, id, JobState.QUEUED)
    return session.scalars(select(Job).where(Job.id == id)).one()


def announce(
    session: Session, project_id: uuid.UUID | None, id: uuid.UUID, state: JobState
) -> None:
    """Publish a job's new state to the project's clients."""
    if project_id is not None:
        publish_after_commit(session, project_id, Event(EventKind.JOB, str(id), state))
