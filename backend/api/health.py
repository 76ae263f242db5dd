"""Health: is the process alive, can it serve."""

from typing import Literal

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from fastapi import APIRouter, Request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backend.api.deps import DatabaseDep
from backend.api.routing import PROBLEMS
from backend.bus import Bus
from backend.db import MIGRATIONS
from backend.domain.errors import Unavailable
from backend.schemas.base import View

router = APIRouter(tags=["health"])


class Alive(View):
    """The process answers."""

    status: Literal["ok"]


class Ready(View):
    """The service can serve; without its broker it is slower to notice things."""

    status: Literal["ok"]
    database: Literal["ok"]
    broker: Literal["ok", "away"]


@router.get("/healthz")
async def healthz() -> Alive:
    """Say that the process is alive."""
    return Alive(status="ok")


@router.get("/readyz", responses={503: PROBLEMS[503]})
def readyz(request: Request, database: DatabaseDep) -> Ready:
    """Say whether the database answers and is migrated; the broker may be away."""
    wanted = set(ScriptDirectory(str(MIGRATIONS)).get_heads())
    try:
        with database.engine.connect() as connection:
            found = set(MigrationContext.configure(connection).get_current_heads())
    except (DBAPIError, PoolTimeout):
        raise Unavailable("The database does not answer; try again.") from None
    if found != wanted:
        raise Unavailable("The database is not migrated; run `cisterna migrate`.")
    bus: Bus = request.app.state.bus
    return Ready(status="ok", database="ok", broker="ok" if bus.alive() else "away")
