"""People: accounts, memberships, tokens, one-time links and sessions."""

import datetime as dt
import os
import uuid
from pathlib import Path

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session as DbSession

from backend.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
)
from backend.domain.states import Role
from backend.models import Link, Membership, Project, Session, Token, User
from backend.schemas.person import NewToken, NewUser
from backend.services import access, audit
from backend.services.access import Principal, digest, new_secret, now

SESSION_LIFE = dt.timedelta(days=14)
ADMIN = "admin"
_SHOWN = 10


def ensure_admin(session: DbSession, token_file: Path) -> bool:
    """Create the user `admin` and leave its token in a file only the owner reads.

    True if it did; a later start finds the user and touches nothing. The file is
    written before the commit: a start that dies between them is simply done again.
    """
    # two servers may start at the same moment; the lock ends with the transaction
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext(ADMIN))))
    if session.scalar(select(User.id).where(User.name == ADMIN)):
        return False
    user = User(name=ADMIN, is_admin=True)
    session.add(user)
    session.flush()
    _, secret = _token(session, user.id, NewToken(name="first start"))
    audit.record(session, None, "create", "user", user.id, name=ADMIN)
    token_file.parent.mkdir(parents=True, exist_ok=True)
    token_file.unlink(missing_ok=True)
    descriptor = os.open(token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{secret}\n")
    return True


def users() -> Select[User]:
    """Select all people."""
    return select(User)


def create_user(session: DbSession, principal: Principal, body: NewUser) -> User:
    """Add a person; they come in through a sign-in link."""
    user = _user(session, body.name, body.is_admin)
    audit.record(
        session,
        principal,
        "create",
        "user",
        user.id,
        name=user.name,
        admin=body.is_admin,
    )
    return user


def _user(session: DbSession, name: str, is_admin: bool = False) -> User:
    if session.scalar(select(User.id).where(User.name == name)):
        raise Conflict(
            f"There is a person {name!r} already; choose another name.", field="name"
        )
    user = User(name=name, is_admin=is_admin)
    session.add(user)
    session.flush()
    session.refresh(user)
    return user


def user(session: DbSession, id: uuid.UUID) -> User:
    """Return a person by id."""
    found = session.get(User, id)
    if found is None:
        raise NotFound(f"There is no person {id}.")
    return found


def set_disabled(
    session: DbSession, principal: Principal, row: User, disabled: bool
) -> User:
    """Shut a person out at once, or let them in again."""
    if row.id == principal.id and disabled:
        raise Conflict("You cannot disable yourself; ask another admin.")
    row.disabled_at = (row.disabled_at or now()) if disabled else None
    session.execute(delete(Session).where(Session.user_id == row.id))
    action = "disable" if disabled else "enable"
    audit.record(session, principal, action, "user", row.id)
    session.flush()
    return row


def create_token(
    session: DbSession, principal: Principal, body: NewToken
) -> tuple[Token, str]:
    """Make a token of one's own; the secret is returned once and never stored."""
    token, secret = _token(session, principal.id, body)
    audit.record(session, principal, "create", "token", token.id, name=token.name)
    return token, secret


def _token(session: DbSession, user_id: uuid.UUID, body: NewToken) -> tuple[Token, str]:
    secret = new_secret()
    token = Token(
        user_id=user_id,
        name=body.name,
        prefix=secret[:_SHOWN],
        digest=digest(secret),
        read_only=body.read_only,
        expires_at=now() + dt.timedelta(days=body.days) if body.days else None,
    )
    session.add(token)
    session.flush()
    session.refresh(token)
    return token, secret


def tokens(principal: Principal) -> Select[Token]:
    """Select one's own tokens."""
    return select(Token).where(Token.user_id == principal.id)


def revoke_token(session: DbSession, principal: Principal, id: uuid.UUID) -> None:
    """End a token of one's own; an admin may end anybody's."""
    token = session.get(Token, id)
    if token is None or (token.user_id != principal.id and not principal.is_admin):
        raise NotFound(f"There is no token {id}, or it is not yours.")
    token.revoked_at = token.revoked_at or now()
    audit.record(session, principal, "revoke", "token", token.id)
    session.flush()


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
    _refuse_more_than_held(session, principal, project.id, role)
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
        person = user(session, link.user_id)
    elif visitor is not None:
        person = user(session, visitor.id)
    elif name is not None:
        person = _user(session, name)
    else:
        raise Invalid(
            "Say what you are called: the link is for a new person.", field="name"
        )
    if person.disabled_at:
        raise Unauthenticated("This account is disabled; ask an admin.")
    if link.project_id is not None and link.role is not None:
        _join(session, person, link.project_id, link.role)
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


def _join(session: DbSession, person: User, project_id: uuid.UUID, role: Role) -> None:
    present = session.get(Membership, (person.id, project_id))
    if present is None:
        session.add(Membership(user_id=person.id, project_id=project_id, role=role))
    elif not present.role.covers(role):
        present.role = role
    session.flush()


def open_session(session: DbSession, person: User) -> str:
    """Start a browser session; returns the secret for its cookie."""
    session.execute(
        delete(Session).where(Session.user_id == person.id, Session.expires_at < now())
    )
    secret = new_secret()
    session.add(
        Session(
            user_id=person.id,
            digest=digest(secret),
            expires_at=now() + SESSION_LIFE,
        )
    )
    session.flush()
    return secret


def close_session(session: DbSession, secret: str) -> None:
    """End a browser session; an unknown one is fine."""
    session.execute(delete(Session).where(Session.digest == digest(secret)))


def own_memberships(
    session: DbSession, principal: Principal
) -> list[tuple[Membership, Project]]:
    """Return the person's memberships with their projects."""
    rows = session.execute(
        select(Membership, Project)
        .join(Project, Project.id == Membership.project_id)
        .where(Membership.user_id == principal.id)
        .order_by(Project.slug)
    )
    return [(membership, project) for membership, project in rows]


def members(session: DbSession, project: Project) -> list[tuple[Membership, User]]:
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
    _refuse_more_than_held(session, principal, project.id, role)
    person = user(session, id)
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


def _refuse_more_than_held(
    session: DbSession, principal: Principal, project_id: uuid.UUID, role: Role
) -> None:
    held = access.role_in(session, principal, project_id)
    if held is None or not held.covers(role):
        raise Forbidden(f"You cannot grant the role {role}: yours is {held or 'none'}.")
