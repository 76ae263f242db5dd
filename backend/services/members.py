"""Members: who has which role in a project."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session as DbSession

from backend.domain.errors import Forbidden, NotFound
from backend.domain.states import Role
from backend.models import Membership, Project, User
from backend.services import access, audit, people
from backend.services.access import Principal


def own(session: DbSession, principal: Principal) -> list[tuple[Membership, Project]]:
    """Return the person's memberships with their projects."""
    rows = session.execute(
        select(Membership, Project)
        .join(Project, Project.id == Membership.project_id)
        .where(Membership.user_id == principal.id)
        .order_by(Project.slug)
    )
    return [(membership, project) for membership, project in rows]


def of_project(session: DbSession, project: Project) -> list[tuple[Membership, User]]:
    """Return everybody with a role in the project."""
    rows = session.execute(
        select(Membership, User)
        .join(User, User.id == Membership.user_id)
        .where(Membership.project_id == project.id)
        .order_by(User.name)
    )
    return [(membership, person) for membership, person in rows]


def set_role(
    session: DbSession,
    principal: Principal,
    project: Project,
    id: uuid.UUID,
    role: Role,
) -> tuple[Membership, User]:
    """Give a person this role in the project, in place of any other."""
    refuse_more_than_held(session, principal, project.id, role)
    person = people.user(session, id)
    membership = session.get(Membership, (id, project.id))
    if membership is None:
        membership = Membership(user_id=id, project_id=project.id, role=role)
        session.add(membership)
    membership.role = role
    session.flush()
    audit.record(
        session, principal, "set-role", "user", id, project_id=project.id, role=role
    )
    return membership, person


def remove(
    session: DbSession, principal: Principal, project: Project, id: uuid.UUID
) -> None:
    """Take a person out of the project; what they annotated stays."""
    membership = session.get(Membership, (id, project.id))
    if membership is None:
        raise NotFound(f"{id} is no member of this project.")
    session.delete(membership)
    session.flush()
    audit.record(session, principal, "remove", "user", id, project_id=project.id)


def refuse_more_than_held(
    session: DbSession, principal: Principal, project_id: uuid.UUID, role: Role
) -> None:
    """Refuse to grant a role above one's own; Forbidden says which that is."""
    held = access.role_in(session, principal, project_id)
    if held is None or not held.covers(role):
        raise Forbidden(f"You cannot grant the role {role}: yours is {held or 'none'}.")


def join(session: DbSession, person: User, project_id: uuid.UUID, role: Role) -> None:
    """Give a person a role in a project, unless they hold a higher one."""
    present = session.get(Membership, (person.id, project_id))
    if present is None:
        session.add(Membership(user_id=person.id, project_id=project_id, role=role))
    elif not present.role.covers(role):
        present.role = role
    session.flush()
