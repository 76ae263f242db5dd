"""Bodies of people: accounts, tokens, sign-in links and sessions."""

import datetime as dt
import uuid
from typing import Annotated

from pydantic import Field, StringConstraints

from backend.domain.states import Role
from backend.schemas.base import Body, View

PersonName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class NewUser(Body):
    """A person to add."""

    name: PersonName = Field(examples=["Ada Okafor"])
    is_admin: bool = Field(False, description="Admins manage people and see all.")


class UserEdit(Body):
    """Whether the person may come in; what they made stays in any case."""

    disabled: bool = Field(examples=[True])


class UserView(View):
    """A person."""

    id: uuid.UUID
    name: str
    is_admin: bool
    created_at: dt.datetime
    disabled_at: dt.datetime | None


class NewLink(Body):
    """A one-time link that signs a known person in."""

    hours: float = Field(24, gt=0, le=720, examples=[24])


class LinkView(View):
    """A one-time link, shown once."""

    link: str
    token: str
    expires_at: dt.datetime


class NewSession(Body):
    """The token of a one-time link, and a name if the link invites a new person."""

    token: str = Field(max_length=200, examples=["cst_Rw5…"])
    name: PersonName | None = Field(None, examples=["Ada Okafor"])


class NewToken(Body):
    """A bearer token for a script or the command line."""

    name: PersonName = Field(examples=["training notebook"])
    read_only: bool = Field(False, description="Refuse everything that changes state.")
    days: float | None = Field(
        None, gt=0, le=3650, description="Days until it expires; null for never."
    )


class TokenView(View):
    """A token as it is remembered: never its secret."""

    id: uuid.UUID
    name: str
    prefix: str
    read_only: bool
    created_at: dt.datetime
    expires_at: dt.datetime | None
    last_used_at: dt.datetime | None
    revoked_at: dt.datetime | None


class TokenSecret(TokenView):
    """A fresh token; its secret is shown this once."""

    secret: str


class OwnMembership(View):
    """One of your projects and your role there."""

    project_id: uuid.UUID
    slug: str
    name: str
    role: Role


class Me(View):
    """Who you are here."""

    id: uuid.UUID
    name: str
    is_admin: bool
    read_only: bool
    memberships: list[OwnMembership]
