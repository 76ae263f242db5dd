"""Projects and their labels."""

import re
import unicodedata
import zoneinfo
from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.domain.errors import Conflict, DomainError, Invalid
from backend.domain.labels import PRESETS, RESERVED, next_colour
from backend.domain.states import Role
from backend.models import Label, Membership, Project
from backend.schemas.project import LabelEdit, NewLabel, NewProject, ProjectEdit
from backend.services import audit, strategies
from backend.services.access import Principal, now

_NOT_COLUMNS = {"slug", "preset", "labels", "training", "images_from"}


def create(session: Session, principal: Principal, body: NewProject) -> Project:
    """Create a project; its creator becomes its manager.

    `body.images_from` is the caller's to follow, see `copies.share_images`.
    """
    strategies.check(body.strategy, body.strategy_parameters)
    _check_time_zone(body.time_zone)
    slug = body.slug or _slug(body.name)
    if not slug:
        raise Invalid("The name gives no slug; state one.", field="slug")
    if session.scalar(select(Project.id).where(Project.slug == slug)):
        raise Conflict(f"There is a project {slug!r} already.", field="slug")
    row = Project(
        slug=slug,
        training=body.training.model_dump(),
        **body.model_dump(exclude=_NOT_COLUMNS),
    )
    preset = PRESETS[body.preset].labels if body.preset else ()
    row.labels = [
        Label(
            value=label.value,
            name=label.name,
            colour=label.colour,
            priority=label.priority,
            target_recall=label.target_recall,
            precision_floor=label.precision_floor,
        )
        for label in preset
    ]
    for number, label in enumerate(body.labels):
        try:
            _add(row, label)
        except DomainError as error:
            error.field = f"labels/{number}/{error.field}"
            raise
    session.add(row)
    session.flush()
    session.add(Membership(user_id=principal.id, project_id=row.id, role=Role.MANAGER))
    audit.record(session, principal, "create", "project", row.id, project_id=row.id)
    session.flush()
    return row


def listed(principal: Principal) -> Select[Project]:
    """Select the projects the person may see."""
    statement = select(Project)
    if principal.is_admin:
        return statement
    mine = select(Membership.project_id).where(Membership.user_id == principal.id)
    return statement.where(Project.id.in_(mine))


def edit(
    session: Session, principal: Principal, row: Project, body: ProjectEdit
) -> Project:
    """Change a project's settings."""
    changes = body.model_dump(exclude_none=True)
    if body.strategy is not None or body.strategy_parameters is not None:
        dials = body.strategy_parameters
        strategies.check(
            body.strategy or row.strategy,
            row.strategy_parameters if dials is None else dials,
        )
    if body.time_zone is not None:
        _check_time_zone(body.time_zone)
    if body.never_touch is not None:
        changes["never_touch"] = _apart(row, body.never_touch)
    for name, value in changes.items():
        setattr(row, name, value)
    row.updated_at = now()
    audit.record(
        session, principal, "edit", "project", row.id, project_id=row.id, **changes
    )
    session.flush()
    return row


def add_label(
    session: Session, principal: Principal, row: Project, body: NewLabel
) -> Label:
    """Add a label; earlier annotations stay silent about it, nothing is rewritten."""
    label = _add(row, body)
    row.updated_at = now()
    session.flush()
    audit.record(session, principal, "create", "label", label.id, project_id=row.id)
    return label


def edit_label(
    session: Session, principal: Principal, row: Project, value: int, body: LabelEdit
) -> Label:
    """Rename, recolour, reweigh or explain a label."""
    found = label(row, value)
    changes = body.model_dump(exclude_none=True)
    if "precision_floor" in body.model_fields_set:  # null takes it away
        changes["precision_floor"] = body.precision_floor
    if body.name is not None:
        _check_name(body.name)
    if any(other.name == body.name for other in row.labels if other.value != value):
        raise Conflict(f"There is a label {body.name!r} already.", field="name")
    for name, change in changes.items():
        setattr(found, name, change)
    row.updated_at = now()
    session.flush()
    audit.record(
        session, principal, "edit", "label", found.id, project_id=row.id, **changes
    )
    return found


def label(row: Project, value: int) -> Label:
    """Return a project's label by its value; Invalid if it has none."""
    found = next((label for label in row.labels if label.value == value), None)
    if found is None:
        raise Invalid(f"The project has no label {value}.", field="value")
    return found


def _apart(row: Project, pairs: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return pairs of labels once each, lower value first."""
    known = {label.value for label in row.labels}
    for one, other in pairs:
        if one == other or not {one, other} <= known:
            raise Invalid(
                f"{one} and {other} are not two labels of the project: name two of "
                f"{', '.join(map(str, sorted(known)))}.",
                field="never_touch",
            )
    return [list(pair) for pair in sorted({(min(p), max(p)) for p in pairs})]


def _add(row: Project, body: NewLabel) -> Label:
    taken = {label.value for label in row.labels}
    value = body.value
    if value is None:
        value = max(taken, default=0) + 1
    if value in taken or value > 254:
        raise Conflict(f"Label value {value} is not free.", field="value")
    _check_name(body.name)
    if any(label.name == body.name for label in row.labels):
        raise Conflict(f"There is a label {body.name!r} already.", field="name")
    label = Label(
        value=value,
        name=body.name,
        colour=body.colour or next_colour([label.colour for label in row.labels]),
        priority=body.priority,
        target_recall=body.target_recall,
        precision_floor=body.precision_floor,
        guideline=body.guideline,
    )
    row.labels.append(label)
    return label


def _slug(name: str) -> str:
    """Return a name in small letters, digits and dashes, without its accents."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower())[:80].strip("-")


def _check_name(name: str) -> None:
    if name.lower() in RESERVED:
        raise Invalid(
            f"{name!r} means something else here already; choose another name.",
            field="name",
        )


def _check_time_zone(name: str) -> None:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(
            f"{name!r} is no time zone; use a name such as Europe/Berlin.",
            field="time_zone",
        ) from None
