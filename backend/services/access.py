"""Who is asking, and what may they see: every object is loaded through here."""

import datetime as dt
import hashlib
import secrets
import uuid
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session as DbSession

from backend.domain.errors import Forbidden, NotFound, Unauthenticated
from backend.domain.states import Role
from backend.models import Membership, Project, Session, Token, User
from backend.models.base import Row


@dataclass(frozen=True, slots=True)
class Principal:
    """The person behind a request."""

    id: uuid.UUID
    name: str
    is_admin: bool
    read_only: bool = False


R = TypeVar("R", bound=Row)

_HIDDEN = "There is no such object, or it is not yours to see."
"""One sentence for what is missing and what is hidden, so that nobody can tell."""


def now() -> dt.datetime:
    """The time, in UTC."""
    return dt.datetime.now(dt.UTC)


def new_secret() -> str:
    """Return a fresh 256-bit secret; the prefix lets scanners find leaked ones."""
    return f"cst_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> str:
    """SHA-256 of a secret; enough for random 256-bit keys."""
    return hashlib.sha256(secret.encode()).hexdigest()


def by_token(session: DbSession, secret: str) -> Principal:
    """Return the principal of a bearer token; Unauthenticated if it is not valid."""
    row = session.execute(
        select(Token, User).join(User).where(Token.digest == digest(secret))
    ).one_or_none()
    if row is None:
        raise Unauthenticated("This token is not known here.")
    token, user = row
    if token.revoked_at or (token.expires_at and token.expires_at < now()):
        raise Unauthenticated("This token was revoked or has expired; make a new one.")
    _refuse_disabled(user)
    # once a minute is enough, and spares a write per request
    if not token.last_used_at or now() - token.last_used_at > dt.timedelta(minutes=1):
        token.last_used_at = now()
    return Principal(user.id, user.name, user.is_admin, token.read_only)


def by_session(session: DbSession, secret: str) -> Principal:
    """Return the principal of a session cookie; Unauthenticated if it is not valid."""
    row = session.execute(
        select(Session, User).join(User).where(Session.digest == digest(secret))
    ).one_or_none()
    if row is None or row[0].expires_at < now():
        raise Unauthenticated("This session has ended; open a new sign-in link.")
    _refuse_disabled(row[1])
    return Principal(row[1].id, row[1].name, row[1].is_admin)


def _refuse_disabled(user: User) -> None:
    if user.disabled_at:
        raise Unauthenticated("This account is disabled; ask an admin.")


def role_in(
    session: DbSession, principal: Principal, project_id: uuid.UUID
) -> Role | None:
    """Return the person's role in a project; an admin is manager everywhere."""
    if principal.is_admin:
        return Role.MANAGER
    return session.scalar(
        select(Membership.role).where(
            Membership.user_id == principal.id, Membership.project_id == project_id
        )
    )


def require(
    session: DbSession, principal: Principal, project_id: uuid.UUID, role: Role
) -> None:
    """Raise NotFound to strangers and Forbidden to members whose role is too small."""
    held = role_in(session, principal, project_id)
    if held is None:
        raise NotFound(_HIDDEN)
    if not held.covers(role):
        raise Forbidden(f"This needs the role {role}; yours is {held}.")


def project(session: DbSession, principal: Principal, key: str, role: Role) -> Project:
    """Load a project by id or slug for somebody who holds at least `role` in it."""
    try:
        match: ColumnElement[bool] = Project.id == uuid.UUID(key)
    except ValueError:
        match = Project.slug == key
    found = session.scalar(select(Project).where(match))
    if found is None:
        raise NotFound(_HIDDEN)
    require(session, principal, found.id, role)
    return found


def lock_project(session: DbSession, id: uuid.UUID) -> Project:
    """Take the row of a project: one at a time orders its tiles or promotes.

    Its key is left free (FOR NO KEY UPDATE). Every row that refers to the project holds
    the key until its transaction ends, so two that wrote such rows and then asked for
    all of the project's row would wait for each other.
    """
    return session.get_one(Project, id, with_for_update={"key_share": True})


def load(
    session: DbSession,
    principal: Principal,
    model: type[R],
    id: uuid.UUID,
    role: Role,
    *,
    lock: bool = False,
) -> R:
    """Load a row of a project for somebody who holds at least `role` there.

    `lock` takes the row FOR UPDATE.
    """
    found = session.get(model, id, with_for_update=lock, populate_existing=lock)
    if found is None:
        raise NotFound(_HIDDEN)
    project_id: uuid.UUID = found.project_id  # type: ignore[attr-defined]
    require(session, principal, project_id, role)
    return found
