"""Model versions: which one is live, and the way back."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db import publish_after_commit
from backend.domain.errors import Conflict
from backend.domain.events import Event, EventKind
from backend.domain.states import MODEL_STEPS, ModelState, step
from backend.models import ModelVersion, Project
from backend.services import audit, orders, predictions, queries
from backend.services.access import Principal, lock_project, now


def live(session: Session, project_id: uuid.UUID) -> ModelVersion | None:
    """Return the project's live version, if it has one."""
    return session.scalar(
        select(ModelVersion).where(
            ModelVersion.project_id == project_id,
            ModelVersion.state == ModelState.LIVE,
        )
    )


def promote_if_better_kind(
    session: Session, project: Project, candidate: ModelVersion
) -> None:
    """Promote a candidate, unless it is a forest that would replace a live nnU-Net."""
    current = live(session, project.id)
    if (
        candidate.segmenter == "forest"
        and current is not None
        and current.segmenter != "forest"
    ):
        candidate.state = step(MODEL_STEPS, candidate.state, ModelState.REJECTED)
        session.flush()
        _announce(session, candidate)
        return
    promote(session, None, candidate)


def promote(
    session: Session, principal: Principal | None, version: ModelVersion
) -> ModelVersion:
    """Make a candidate, or a retired version, the live one; the live one retires.

    A version that was live before gets its own order of tiles back at once; a new one
    sweeps the images first.
    """
    # one promotion at a time: the row of the project is the lock
    lock_project(session, version.project_id)
    session.refresh(version)
    if version.state is ModelState.LIVE:
        raise Conflict(f"Round {version.ordinal} is live already.")
    before = version.state
    step(MODEL_STEPS, version.state, ModelState.LIVE)
    current = live(session, version.project_id)
    if current is not None:
        current.state = step(MODEL_STEPS, current.state, ModelState.RETIRED)
        current.retired_at = now()
        session.flush()
        _announce(session, current)
    version.state = ModelState.LIVE
    version.promoted_at = now()
    version.retired_at = None
    session.flush()
    _announce(session, version)
    audit.record(
        session,
        principal,
        "promote" if before is ModelState.CANDIDATE else "rollback",
        "model",
        version.id,
        project_id=version.project_id,
        replaces=str(current.id) if current else None,
    )
    if predictions.missing(session, version):
        predictions.go_on(session, version)
    elif not orders.revive(session, version):
        queries.request_score(session, version)
    return version


def reject(
    session: Session, principal: Principal, version: ModelVersion
) -> ModelVersion:
    """Set a candidate aside for good."""
    version.state = step(MODEL_STEPS, version.state, ModelState.REJECTED)
    session.flush()
    _announce(session, version)
    audit.record(
        session,
        principal,
        "reject",
        "model",
        version.id,
        project_id=version.project_id,
    )
    return version


def rollback(session: Session, principal: Principal, project: Project) -> ModelVersion:
    """Make the previously live version live again."""
    previous = session.scalar(
        select(ModelVersion)
        .where(
            ModelVersion.project_id == project.id,
            ModelVersion.state == ModelState.RETIRED,
        )
        .order_by(ModelVersion.retired_at.desc())
        .limit(1)
    )
    if previous is None:
        raise Conflict("There is no earlier version to go back to.")
    return promote(session, principal, previous)


def _announce(session: Session, version: ModelVersion) -> None:
    publish_after_commit(
        session,
        version.project_id,
        Event(EventKind.MODEL, str(version.id), version.state),
    )
