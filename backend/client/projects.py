"""Projects, their labels and the people in them."""

import uuid
from collections.abc import Iterator, Sequence

from pydantic import RootModel

from backend.client.transport import Transport
from backend.domain.states import Role
from backend.schemas.agreement import AgreementView, GoldView, PracticeView
from backend.schemas.person import (
    LinkView,
    Me,
    NewLink,
    NewToken,
    TokenSecret,
    TokenView,
)
from backend.schemas.project import (
    ExampleView,
    InvitationView,
    LabelEdit,
    LabelView,
    MembershipView,
    NewInvitation,
    NewLabel,
    NewMembership,
    NewProject,
    ProjectEdit,
    ProjectView,
)
from backend.schemas.strategy import StrategiesView


class _Members(RootModel[list[MembershipView]]):
    """The answer of the list of members, which is not paged."""


class Projects:
    """Projects and labels; a project is named by its slug or id."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, body: NewProject) -> ProjectView:
        """Create a project; you become its manager."""
        return self._transport.post("projects", ProjectView, body)

    def list(self) -> Iterator[ProjectView]:
        """Yield the projects you may see."""
        return self._transport.pages("projects", ProjectView)

    def get(self, project: str) -> ProjectView:
        """Return one project."""
        return self._transport.get(f"projects/{project}", ProjectView)

    def edit(self, project: ProjectView, changes: ProjectEdit) -> ProjectView:
        """Change a project as it was read; Stale if somebody was faster."""
        path = f"projects/{project.id}"
        return self._transport.edit(path, ProjectView, changes, project.version)

    def strategies(self) -> StrategiesView:
        """Return the strategies a project may choose, and their parameters."""
        return self._transport.get("strategies", StrategiesView)

    def add_label(self, project: str, body: NewLabel) -> LabelView:
        """Add a label; annotations made before stay silent about it."""
        return self._transport.post(f"projects/{project}/labels", LabelView, body)

    def edit_label(
        self, project: ProjectView, value: int, changes: LabelEdit
    ) -> LabelView:
        """Rename, recolour, reweigh or explain a label."""
        path = f"projects/{project.id}/labels/{value}"
        return self._transport.edit(path, LabelView, changes, project.version)

    def add_example(
        self,
        project: str,
        value: int,
        picture: bytes,
        caption: str = "",
        good: bool = True,
    ) -> ExampleView:
        """Add a picture, a PNG or JPEG file, to a label's guideline."""
        answer = self._transport.request(
            "POST",
            f"projects/{project}/labels/{value}/examples",
            params={"caption": caption, "good": good},
            content=picture,
            headers={"Content-Type": "application/octet-stream"},
        )
        return self._transport.parsed(answer, ExampleView)

    def remove_example(self, example: uuid.UUID) -> None:
        """Remove a picture from a label's guideline."""
        self._transport.request("DELETE", f"examples/{example}")

    def members(self, project: str) -> Sequence[MembershipView]:
        """Return everybody with a role in the project."""
        return self._transport.get(f"projects/{project}/memberships", _Members).root

    def invite(self, project: str, role: Role, hours: float = 72) -> InvitationView:
        """Make a one-time link into the project."""
        body = NewInvitation(role=role, hours=hours)
        path = f"projects/{project}/invitations"
        return self._transport.post(path, InvitationView, body)

    def set_role(self, project: str, user: uuid.UUID, role: Role) -> MembershipView:
        """Give a person this role in the project, in place of any other."""
        path = f"projects/{project}/memberships/{user}"
        body = NewMembership(role=role)
        answer = self._transport.request("PUT", path, body=body)
        return self._transport.parsed(answer, MembershipView)

    def remove_member(self, project: str, user: uuid.UUID) -> None:
        """Take a person out of the project; their work stays."""
        self._transport.request("DELETE", f"projects/{project}/memberships/{user}")

    def gold(self, project: str) -> Iterator[GoldView]:
        """Yield the tiles whose truth is settled, newest first."""
        return self._transport.pages(f"projects/{project}/gold", GoldView)

    def practice(self, project: str) -> Iterator[PracticeView]:
        """Yield the tiles to practise on."""
        return self._transport.pages(f"projects/{project}/practice", PracticeView)

    def agreement(self, project: str) -> AgreementView:
        """Return how far people agree with each other, gold and pre-labels."""
        return self._transport.get(f"projects/{project}/agreement", AgreementView)


class People:
    """Who you are, and your tokens."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def me(self) -> Me:
        """Return who the token belongs to."""
        return self._transport.get("me", Me)

    def sign_in_link(self, user: uuid.UUID, hours: float = 24) -> LinkView:
        """Make a one-time link that signs a person in (admin)."""
        path = f"users/{user}/links"
        return self._transport.post(path, LinkView, NewLink(hours=hours))

    def create_token(self, body: NewToken) -> TokenSecret:
        """Make a bearer token; its secret is shown this once."""
        return self._transport.post("tokens", TokenSecret, body)

    def tokens(self) -> Iterator[TokenView]:
        """Yield your tokens, revoked ones included."""
        return self._transport.pages("tokens", TokenView)

    def revoke_token(self, token: uuid.UUID) -> None:
        """End a token."""
        self._transport.request("DELETE", f"tokens/{token}")
