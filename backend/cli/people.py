"""`cisterna token`: bearer tokens for scripts, and sign-in links for browsers."""

import uuid
from typing import Annotated

import typer

from backend.cli.session import Session, Shown, given, rest
from backend.schemas.person import NewToken

app = typer.Typer(help="Bearer tokens and sign-in links.", rich_markup_mode=None)


@app.command("create")
@rest()
def create(
    here: Session,
    name: str,
    read_only: Annotated[bool, typer.Option("--read-only")] = False,
    days: Annotated[float | None, typer.Option(help="Days it is good.")] = None,
) -> Shown:
    """Make a token; its secret is shown this once."""
    body = NewToken(**given(name=name, read_only=read_only, days=days))
    return here.service.people.create_token(body)


@app.command("list")
@rest("id name prefix read_only created_at expires_at last_used_at revoked_at")
def list_tokens(here: Session) -> Shown:
    """List your tokens."""
    return here.service.people.tokens()


@app.command("revoke")
@rest()
def revoke(here: Session, token_id: uuid.UUID) -> Shown:
    """End a token."""
    here.service.people.revoke_token(token_id)
    return f"Token {token_id} is revoked."


@app.command("sign-in")
@rest()
def sign_in(here: Session, hours: float = 24) -> Shown:
    """Make a one-time link that signs you in in a browser (admin)."""
    return here.service.people.sign_in_link(here.service.people.me().id, hours)
