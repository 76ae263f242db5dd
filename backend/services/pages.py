"""Opaque-cursor pagination over rows ordered by birth, newest first."""

import base64
import binascii
import datetime as dt
import uuid
from typing import TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import Session

from backend.domain.errors import Invalid
from backend.models.base import Row

R = TypeVar("R", bound=Row)


def page(
    session: Session,
    statement: Select[R],
    model: type[R],
    cursor: str | None,
    limit: int,
) -> tuple[list[R], str | None]:
    """Return up to `limit` rows after `cursor` and the next cursor, None at the end."""
    if cursor is not None:
        at, id = _decode(cursor)
        statement = statement.where(tuple_(model.created_at, model.id) < (at, id))
    rows = list(
        session.scalars(
            statement.order_by(model.created_at.desc(), model.id.desc()).limit(
                limit + 1
            )
        )
    )
    more = len(rows) > limit
    rows = rows[:limit]
    return rows, _encode(rows[-1]) if more else None


def _encode(row: Row) -> str:
    text = f"{row.created_at.isoformat()} {row.id}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _decode(cursor: str) -> tuple[dt.datetime, uuid.UUID]:
    try:
        at, id = base64.urlsafe_b64decode(cursor.encode()).decode().split()
        return dt.datetime.fromisoformat(at), uuid.UUID(id)
    except (ValueError, binascii.Error):
        raise Invalid(
            "This cursor is not one this service gave out; start without it.",
            field="cursor",
        ) from None
