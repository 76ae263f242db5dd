"""People: accounts, tokens and sessions."""

import datetime as dt
import os
import uuid
from pathlib import Path

from sqlalchemy import Select, delete, func, select
from sqlalchemy.orm import Session as DbSession

from backend.domain.errors import Conflict, NotFound
from backend.models import Session, Token, User
from backend.schemas.person import NewToken, NewUser
from backend.services import audit
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
    user = add(session, body.name, body.is_admin)
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


def add(session: DbSession, name: str, is_admin: bool = False) -> User:
    """Add a person of this name; Conflict if somebody has it."""
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
