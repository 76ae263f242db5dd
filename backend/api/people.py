"""People: who am I, tokens, sessions, accounts, memberships and invitations."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, status

from backend.api.deps import (
    COOKIE,
    AdminDep,
    Cursor,
    Limit,
    PrincipalDep,
    SessionDep,
    SettingsDep,
    identify,
    require_own_origin,
)
from backend.api.projects import Key
from backend.api.routing import MAX_BODY, PROBLEMS, guarded
from backend.domain.errors import Unauthenticated
from backend.domain.states import Role
from backend.models import Membership, Token, User
from backend.schemas.base import Page
from backend.schemas.person import (
    LinkView,
    Me,
    NewLink,
    NewSession,
    NewToken,
    NewUser,
    OwnMembership,
    TokenSecret,
    TokenView,
    UserEdit,
    UserView,
)
from backend.schemas.project import (
    InvitationView,
    MembershipView,
    NewInvitation,
    NewMembership,
)
from backend.services import access, links, members, pages, people
from backend.services.access import Principal
from backend.settings import Settings

router = guarded("people")
sessions = APIRouter(tags=["people"], responses=PROBLEMS, max_body_size=MAX_BODY)
"""Public: a one-time link is what proves who somebody is."""


def visitor(
    request: Request, session: SessionDep, settings: SettingsDep
) -> Principal | None:
    """The person who is signed in already, if any."""
    try:
        return identify(request, session, settings)
    except Unauthenticated:
        return None


@sessions.post("/sessions", status_code=status.HTTP_201_CREATED)
def open_session(
    body: NewSession,
    request: Request,
    response: Response,
    session: SessionDep,
    settings: SettingsDep,
    signed_in: Annotated[Principal | None, Depends(visitor)],
) -> Me:
    """Turn a one-time link into a session cookie; an invitation adds its role."""
    if "origin" in request.headers:
        require_own_origin(request, settings)
    person = links.redeem(session, body.token, body.name, signed_in)
    response.set_cookie(
        COOKIE,
        people.open_session(session, person),
        max_age=int(people.SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings.base_url.startswith("https:"),
    )
    return _me(session, Principal(person.id, person.name, person.is_admin))


@sessions.delete("/sessions", status_code=status.HTTP_204_NO_CONTENT)
def close_session(request: Request, response: Response, session: SessionDep) -> None:
    """Sign out of this browser."""
    people.close_session(session, request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")


@router.get("/me")
def get_me(session: SessionDep, principal: PrincipalDep) -> Me:
    """Return who you are and your roles."""
    return _me(session, principal)


def _me(session: SessionDep, principal: Principal) -> Me:
    return Me(
        id=principal.id,
        name=principal.name,
        is_admin=principal.is_admin,
        read_only=principal.read_only,
        memberships=[
            OwnMembership(
                project_id=project.id,
                slug=project.slug,
                name=project.name,
                role=membership.role,
            )
            for membership, project in members.own(session, principal)
        ],
    )


@router.post("/tokens", status_code=status.HTTP_201_CREATED)
def create_token(
    body: NewToken, session: SessionDep, principal: PrincipalDep
) -> TokenSecret:
    """Make a bearer token; its secret is shown this once."""
    token, secret = people.create_token(session, principal, body)
    view = TokenView.model_validate(token)
    return TokenSecret(**view.model_dump(), secret=secret)


@router.get("/tokens")
def list_tokens(
    session: SessionDep,
    principal: PrincipalDep,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[TokenView]:
    """List your tokens, revoked ones included."""
    rows, following = pages.page(
        session, people.tokens(principal), Token, cursor, limit
    )
    return Page(items=[TokenView.model_validate(r) for r in rows], next=following)


@router.delete("/tokens/{token}", status_code=status.HTTP_204_NO_CONTENT)
def revoke_token(
    token: uuid.UUID, session: SessionDep, principal: PrincipalDep
) -> None:
    """Revoke a token of yours; an admin may revoke anybody's."""
    people.revoke_token(session, principal, token)


@router.get("/users")
def list_users(
    session: SessionDep, _: AdminDep, cursor: Cursor = None, limit: Limit = 50
) -> Page[UserView]:
    """List all people (admin)."""
    rows, following = pages.page(session, people.users(), User, cursor, limit)
    return Page(items=[UserView.model_validate(r) for r in rows], next=following)


@router.post("/users", status_code=status.HTTP_201_CREATED)
def create_user(body: NewUser, session: SessionDep, admin: AdminDep) -> UserView:
    """Add a person (admin); give them a sign-in link."""
    return UserView.model_validate(people.create_user(session, admin, body))


@router.patch("/users/{user}")
def edit_user(
    user: uuid.UUID, body: UserEdit, session: SessionDep, admin: AdminDep
) -> UserView:
    """Disable or enable a person (admin)."""
    row = people.set_disabled(session, admin, people.user(session, user), body.disabled)
    return UserView.model_validate(row)


@router.post("/users/{user}/links", status_code=status.HTTP_201_CREATED)
def create_link(
    user: uuid.UUID,
    body: NewLink,
    session: SessionDep,
    settings: SettingsDep,
    admin: AdminDep,
) -> LinkView:
    """Make a one-time sign-in link for a person (admin)."""
    link, secret = links.sign_in_link(
        session, admin, people.user(session, user), body.hours
    )
    return LinkView(
        link=_address(settings, secret), token=secret, expires_at=link.expires_at
    )


@router.post("/projects/{project}/invitations", status_code=status.HTTP_201_CREATED)
def invite(
    project: Key,
    body: NewInvitation,
    session: SessionDep,
    settings: SettingsDep,
    principal: PrincipalDep,
) -> InvitationView:
    """Make a one-time link into a project, with a role up to your own."""
    row = access.project(session, principal, project, Role.REVIEWER)
    link, secret = links.invite(session, principal, row, body.role, body.hours)
    return InvitationView(
        link=_address(settings, secret),
        token=secret,
        role=body.role,
        expires_at=link.expires_at,
    )


def _address(settings: Settings, secret: str) -> str:
    # behind the #, so that no server's or proxy's log ever holds it
    return f"{settings.base_url}/#join={secret}"


@router.get("/projects/{project}/memberships")
def list_members(
    project: Key, session: SessionDep, principal: PrincipalDep
) -> list[MembershipView]:
    """List everybody with a role in the project (manager)."""
    row = access.project(session, principal, project, Role.MANAGER)
    return [_member(*pair) for pair in members.of_project(session, row)]


@router.put("/projects/{project}/memberships/{user}")
def set_role(
    project: Key,
    user: uuid.UUID,
    body: NewMembership,
    session: SessionDep,
    principal: PrincipalDep,
) -> MembershipView:
    """Give a person a role in the project (manager)."""
    row = access.project(session, principal, project, Role.MANAGER)
    return _member(*members.set_role(session, principal, row, user, body.role))


@router.delete(
    "/projects/{project}/memberships/{user}", status_code=status.HTTP_204_NO_CONTENT
)
def remove_member(
    project: Key, user: uuid.UUID, session: SessionDep, principal: PrincipalDep
) -> None:
    """Take a person out of the project (manager); their work stays."""
    row = access.project(session, principal, project, Role.MANAGER)
    members.remove(session, principal, row, user)


def _member(membership: Membership, person: User) -> MembershipView:
    return MembershipView(user_id=person.id, name=person.name, role=membership.role)
