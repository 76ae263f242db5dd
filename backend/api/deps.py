"""What routes ask for: a session, the person behind the request, cursors and revisions.

Nothing is public unless it stands in `app.PUBLIC`: the router of /api/v1 asks for a
principal before any route runs.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPBearer
from sqlalchemy.orm import Session

from backend.db import Database
from backend.domain.errors import Forbidden, Invalid, PreconditionRequired, Stale
from backend.services import access
from backend.services.access import Principal
from backend.settings import Settings
from backend.storage import ArtifactStore

COOKIE = "cisterna_session"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def get_settings(request: Request) -> Settings:
    """The settings the app was created with."""
    settings: Settings = request.app.state.settings
    return settings


def get_database(request: Request) -> Database:
    """The app's database."""
    database: Database = request.app.state.database
    return database


def get_store(request: Request) -> ArtifactStore:
    """The app's artifact store."""
    store: ArtifactStore = request.app.state.store
    return store


def get_session(
    request: Request, database: Annotated[Database, Depends(get_database)]
) -> Iterator[Session]:
    """Yield the request's unit of work; it commits before the response starts."""
    with database.unit_of_work() as session:
        request.state.session = session
        yield session


SettingsDep = Annotated[Settings, Depends(get_settings)]
DatabaseDep = Annotated[Database, Depends(get_database)]
StoreDep = Annotated[ArtifactStore, Depends(get_store)]
# scope="function": by default FastAPI would commit after the client has its answer
SessionDep = Annotated[Session, Depends(get_session, scope="function")]


def identify(request: Request, session: Session, settings: Settings) -> Principal:
    """Return who asks, from the bearer token or the session cookie."""
    header = request.headers.get("authorization", "")
    scheme, _, secret = header.partition(" ")
    if scheme.lower() == "bearer" and secret:
        principal = access.by_token(session, secret.strip())
    else:
        principal = access.by_session(session, request.cookies.get(COOKIE, ""))
        if request.method not in SAFE:
            require_own_origin(request, settings)
    if principal.read_only and request.method not in SAFE:
        raise Forbidden("This token is read-only; use one that may write.")
    return principal


def require_own_origin(request: Request, settings: Settings) -> None:
    """Raise Forbidden unless the browser sent the request from our own pages."""
    origin = request.headers.get("origin")
    own = {settings.base_url, str(request.base_url).rstrip("/")}
    if origin not in own:
        raise Forbidden("A request with a cookie must come from this site's own pages.")


# only so that the OpenAPI document tells how to sign in; `identify` does the work
_bearer = Depends(HTTPBearer(auto_error=False, description="A token of yours."))


def get_principal(
    request: Request, session: SessionDep, settings: SettingsDep, _: Any = _bearer
) -> Principal:
    """The person behind the request; 401 without one."""
    return identify(request, session, settings)


def get_principal_briefly(
    request: Request, database: DatabaseDep, settings: SettingsDep, _: Any = _bearer
) -> Principal:
    """The person behind a stream, from a session that is closed before it starts."""
    with database.unit_of_work() as session:
        return identify(request, session, settings)


def refuse_nul(request: Request) -> None:
    """Refuse a path or a query with a NUL, which PostgreSQL's text cannot hold."""
    for name, value in (*request.path_params.items(), *request.query_params.items()):
        if "\0" in str(value):
            raise Invalid(f"{name} must not hold NUL characters.", field=name)


PrincipalDep = Annotated[Principal, Depends(get_principal)]
StreamPrincipalDep = Annotated[Principal, Depends(get_principal_briefly)]


def require_admin(principal: PrincipalDep) -> Principal:
    """The person, who must be an admin."""
    if not principal.is_admin:
        raise Forbidden("Only an admin may do this.")
    return principal


AdminDep = Annotated[Principal, Depends(require_admin)]
Cursor = Annotated[
    str | None, Query(description="`next` of the page before; opaque.", max_length=200)
]
Limit = Annotated[int, Query(ge=1, le=500, description="Rows per page.")]


def etag(version: int) -> str:
    """Return the strong ETag of a row's version."""
    return f'"{version}"'


def get_revision(
    if_match: Annotated[
        str | None, Header(description="ETag of the revision being edited.")
    ] = None,
) -> int:
    """The revision an edit is based on; 428 without If-Match."""
    if if_match is None:
        raise PreconditionRequired(
            "Send If-Match with the ETag of the revision you are editing.",
            field="If-Match",
        )
    # a proxy that compresses answers makes their tags weak
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Invalid('If-Match must be an ETag such as "3".', field="If-Match")
    return int(text)


Revision = Annotated[int, Depends(get_revision)]


def check_revision(asked: int, current: int) -> None:
    """Raise Stale unless the edit is based on the current revision."""
    if asked != current:
        raise Stale(
            f"You are editing revision {asked}, but {current} is current; read again."
        )
