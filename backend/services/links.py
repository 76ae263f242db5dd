"""One-time links: they sign a person in, or invite one into a project."""

import datetime as dt
import uuid

from sqlalchemy import update
from sqlalchemy.orm import Session as DbSession

from backend.domain.errors import Conflict, Invalid, Unauthenticated
from backend.domain.states import Role
from backend.models import Link, Project, User
from backend.services import access, audit, members, people
from backend.services.access import Principal, digest, new_secret, now


def sign_in_link(
    session: DbSession, principal: Principal, row: User, hours: float
) -> tuple[Link, str]:
    """Make a one-time link that signs a known person in."""
    if row.disabled_at:
        raise Conflict("This account is disabled; enable it first.")
    link, secret = _link(session, principal, hours, user_id=row.id)
    audit.record(session, principal, "create", "link", link.id, user=str(row.id))
    return link, secret


def invite(
    session: DbSession, principal: Principal, project: Project, role: Role, hours: float
) -> tuple[Link, str]:
    """Make a one-time link into a project; nobody grants more than they hold."""
    members.refuse_more_than_held(session, principal, project.id, role)
    link, secret = _link(session, principal, hours, project_id=project.id, role=role)
    audit.record(
        session,
        principal,
        "invite",
        "link",
        link.id,
        project_id=project.id,
        role=role,
    )
    return link, secret


def _link(
    session: DbSession,
    principal: Principal,
    hours: float,
    *,
    user_id: uuid.UUID | None = None,
    project_id: uuid.UUID | None = None,
    role: Role | None = None,
) -> tuple[Link, str]:
    secret = new_secret()
    link = Link(
        digest=digest(secret),
        user_id=user_id,
        project_id=project_id,
        role=role,
        created_by=principal.id,
        expires_at=now() + dt.timedelta(hours=hours),
    )
    session.add(link)
    session.flush()
    return link, secret


def redeem(
    session: DbSession, secret: str, name: str | None, visitor: Principal | None
) -> User:
    """Use a one-time link up and return the person it signs in.

    An invitation makes a new person called `name`, or adds a role to the `visitor` who
    is signed in already. If anything is wrong the link stays unused.
    """
    link = session.scalars(
        update(Link)
        .where(
            Link.digest == digest(secret),
            Link.used_at.is_(None),
            Link.expires_at > now(),
        )
        .values(used_at=now())
        .returning(Link)
    ).one_or_none()
    if link is None:
        raise Unauthenticated(
            "This link was used already or has expired; ask for a new one."
        )
    _refuse_from_the_powerless(session, link)
    if link.user_id is not None:
        person = people.user(session, link.user_id)
    elif visitor is not None:
        person = people.user(session, visitor.id)
    elif name is not None:
        person = people.add(session, name)
    else:
        raise Invalid(
            "Say what you are called: the link is for a new person.", field="name"
        )
    if person.disabled_at:
        raise Unauthenticated("This account is disabled; ask an admin.")
    if link.project_id is not None and link.role is not None:
        members.join(session, person, link.project_id, link.role)
    acting = Principal(person.id, person.name, person.is_admin)
    audit.record(session, acting, "redeem", "link", link.id, project_id=link.project_id)
    return person


def _refuse_from_the_powerless(session: DbSession, link: Link) -> None:
    """Refuse a link whose maker could not make it any more."""
    maker = session.get(User, link.created_by) if link.created_by else None
    if maker is None or maker.disabled_at:
        allowed = False
    elif link.project_id is None:
        allowed = maker.is_admin
    else:
        acting = Principal(maker.id, maker.name, maker.is_admin)
        held = access.role_in(session, acting, link.project_id)
        allowed = held is not None and link.role is not None and held.covers(link.role)
    if not allowed:
        raise Unauthenticated(
            "Whoever made this link may not invite any more; ask for a new one."
        )
