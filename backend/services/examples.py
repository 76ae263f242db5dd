"""Example pictures in the guidelines of labels."""

from sqlalchemy.orm import Session

from backend.domain.errors import Conflict
from backend.imaging.pictures import small_picture
from backend.models import Example, Project
from backend.services import audit, projects
from backend.services.access import Principal, now

AT_MOST = 8
"""Pictures of one label; a guideline is read while one paints."""


def add(
    session: Session,
    principal: Principal,
    project: Project,
    value: int,
    data: bytes,
    *,
    caption: str,
    good: bool,
) -> Example:
    """Add a picture, a PNG or JPEG file, to a label's guideline."""
    label = projects.label(project, value)
    if len(label.examples) >= AT_MOST:
        raise Conflict(
            f"A label has at most {AT_MOST} example pictures: remove one first."
        )
    png, width, height = small_picture(data)
    row = Example(
        project_id=project.id,
        label_id=label.id,
        caption=caption,
        good=good,
        width=width,
        height=height,
        png=png,
    )
    label.examples.append(row)
    project.updated_at = now()
    session.flush()
    session.refresh(row, ["created_at"])
    audit.record(session, principal, "create", "example", row.id, project_id=project.id)
    return row


def remove(session: Session, principal: Principal, row: Example) -> None:
    """Remove a picture."""
    session.get_one(Project, row.project_id).updated_at = now()
    session.delete(row)
    audit.record(
        session, principal, "delete", "example", row.id, project_id=row.project_id
    )
