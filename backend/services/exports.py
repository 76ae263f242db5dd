"""Exports: the annotations as an nnU-Net raw dataset and as plain label images."""

import uuid

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.domain.errors import Conflict
from backend.domain.states import JobKind, JobState, Lane, Split
from backend.models import Job, Project
from backend.schemas.export import Exported, ExportWork
from backend.schemas.stored import StoredTree
from backend.services import annotations, artifacts, audit, jobs
from backend.services.access import Principal

EXPORTED = (Split.POOL, Split.VALIDATION, Split.TEST)


def request(session: Session, principal: Principal, project: Project) -> Job:
    """Queue an export; Conflict if nothing is annotated or one is under way."""
    accepted = annotations.newest_accepted(project.id, *EXPORTED).subquery()
    if not session.scalar(select(func.count()).select_from(accepted)):
        raise Conflict(
            "There is no accepted annotation to export: annotate a tile first."
        )
    job = jobs.enqueue(
        session,
        JobKind.EXPORT,
        Lane.CPU,
        {},
        project_id=project.id,
        dedupe_key=f"export:{project.id}",
        requested_by=principal.id,
    )
    audit.record(session, principal, "export", "job", job.id, project_id=project.id)
    return job


def prepare(session: Session, job: Job) -> ExportWork:
    """Gather every annotated tile and the images they lie in."""
    project = session.get_one(Project, job.project_id)
    tiles = annotations.annotated(session, project.id, *EXPORTED)
    images = artifacts.stored_images(session, {tile.image_id for tile in tiles})
    return ExportWork(
        job_id=job.id,
        fence=job.fence,
        name=project.slug,
        schema=project.schema,
        images=tuple(images),
        tiles=tuple(tiles),
    )


def conclude(session: Session, job: Job, result: Exported) -> None:
    """Make the folder visible, in the place of the project's earlier exports.

    Only the newest is kept: an old one would go on holding what was withdrawn since.
    """
    project = session.get_one(Project, job.project_id)
    forget(session, project.id)
    folder = artifacts.add_tree(session, project.id, result.folder)
    job.result = {"artifact_id": str(folder.id)}
    session.flush()


def forget(session: Session, project_id: uuid.UUID) -> None:
    """Discard the exports of a project: they hold copies of its images."""
    for earlier in session.scalars(
        select(Job).where(
            Job.project_id == project_id,
            Job.kind == JobKind.EXPORT,
            Job.state == JobState.SUCCEEDED,
            Job.result.has_key("artifact_id"),
        )
    ):
        artifacts.discard(session, [uuid.UUID(str(earlier.result["artifact_id"]))])
        earlier.result = {}
    session.flush()


def folder(session: Session, job: Job) -> StoredTree:
    """Return an export's stored folder; Conflict if there is none (any more)."""
    if job.kind is not JobKind.EXPORT:
        raise Conflict(f"This is a {job.kind} job, not an export.")
    if job.state is not JobState.SUCCEEDED:
        raise Conflict(f"This export is {job.state}; download it when it succeeded.")
    if "artifact_id" not in job.result:
        raise Conflict("A newer export, or a deletion, took its place; export again.")
    return artifacts.tree(session, uuid.UUID(str(job.result["artifact_id"])))
