"""The audit trail: who did what to which object."""

import uuid

from sqlalchemy.orm import Session

from backend.models import AuditEntry
from backend.services.access import Principal


def record(
    session: Session,
    actor: Principal | None,
    action: str,
    kind: str,
    id: object,
    *,
    project_id: uuid.UUID | None = None,
    **detail: object,
) -> None:
    """Add an entry in the caller's transaction; `actor` is None for the service."""
    session.add(
        AuditEntry(
            actor_id=actor.id if actor else None,
            project_id=project_id,
            action=action,
            object_kind=kind,
            object_id=str(id),
            detail=detail,
        )
    )
