"""The tick: what must happen because time passed, whoever calls it and how often.

Called by beat's task and by a thread in every worker, so it goes on without Redis and
without beat. Each part is a unit of work of its own behind an advisory lock: of two
ticks at once one does the part, the other skips it.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.db import Database
from backend.services import artifacts, jobs, policies, predictions, tasks, uploads
from backend.storage import ArtifactStore

logger = logging.getLogger(__name__)
T = TypeVar("T")


def tick(database: Database) -> None:
    """Do everything that is due; a part that fails is logged and tried next time."""
    _part(database, "jobs", jobs.reclaim)
    _part(database, "rings", jobs.ring_waiting)
    _part(database, "leases", tasks.expire_leases)
    for id in _part(database, "policies", policies.enabled) or ():
        _part(database, f"policy {id}", partial(policies.consider, id=id))


def collect(database: Database, store: ArtifactStore) -> None:
    """Give up predictions nobody can go back to, then erase what nothing refers to.

    Uploads nobody went on with go too.
    """
    _part(database, "predictions", predictions.collect)
    _part(database, "artifacts", partial(artifacts.erase, store=store))
    _part(database, "uploads", partial(uploads.erase, store=store))


def _part(database: Database, name: str, work: Callable[[Session], T]) -> T | None:
    """Run one part in its own transaction; None if it failed or another tick has it."""
    lock = func.pg_try_advisory_xact_lock(func.hashtextextended(f"clock {name}", 0))
    try:
        with database.unit_of_work() as session:
            return work(session) if session.scalar(select(lock)) else None
    except Exception:
        logger.exception("The clock's part %r failed", name)
        return None
