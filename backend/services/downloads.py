"""Downloads: what a job has made for people, until a newer one takes its place."""

import uuid

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from backend.domain.errors import Conflict
from backend.domain.states import JobKind, JobState
from backend.models import Job
from backend.schemas.stored import StoredTree
from backend.services import artifacts

MADE = "artifact_id"


def keep(session: Session, job: Job, made: StoredTree) -> None:
    """Store what a job has made as its result."""
    assert job.project_id is not None
    folder = artifacts.add_tree(session, job.project_id, made)
    job.result = {MADE: str(folder.id)}
    session.flush()


def forget(
    session: Session, project_id: uuid.UUID, kind: JobKind, *which: ColumnElement[bool]
) -> None:
    """Discard what a project's jobs of a kind have made; all of them, or `which`."""
    for earlier in session.scalars(
        select(Job).where(
            Job.project_id == project_id,
            Job.kind == kind,
            Job.state == JobState.SUCCEEDED,
            Job.result.has_key(MADE),
            *which,
        )
    ):
        artifacts.discard(session, [uuid.UUID(str(earlier.result[MADE]))])
        earlier.result = {}
    session.flush()


def find(session: Session, job: Job, kind: JobKind) -> StoredTree:
    """Return what a job of a kind has made; Conflict if it is not there (any more)."""
    if job.kind is not kind:
        raise Conflict(f"This is a job of kind {job.kind}; name one of kind {kind}.")
    if job.state is not JobState.SUCCEEDED:
        raise Conflict(f"This job is {job.state}; download it when it succeeded.")
    if MADE not in job.result:
        raise Conflict(
            f"What this {kind} job made was deleted, or a newer one took its place; "
            "ask for it again."
        )
    return artifacts.tree(session, uuid.UUID(str(job.result[MADE])))
