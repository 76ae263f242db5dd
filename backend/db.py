"""The database: engine, units of work, effects that wait for the commit, migrations.

The only file in which `.commit(` stands (a test walks the tree).
"""

import logging
import queue
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

from backend.domain.events import Event

logger = logging.getLogger(__name__)
MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
Effect = Callable[[], None]
Ring = Callable[[uuid.UUID, str], None]
Publish = Callable[[uuid.UUID, Event], None]


class Outbox:
    """Runs effects in order on a thread of its own; a failure is logged and dropped.

    A dead but open broker connection blocks for seconds: no request may wait for it.
    """

    def __init__(self) -> None:
        self._effects: queue.SimpleQueue[Effect | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def put(self, effect: Effect) -> None:
        """Run `effect` soon; returns at once."""
        self._effects.put(effect)

    def close(self) -> None:
        """Run what is waiting and stop."""
        self._effects.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (effect := self._effects.get()) is not None:
            try:
                effect()
            except Exception as error:  # noqa: BLE001 - PostgreSQL knows it all anyway
                logger.warning("An effect after a commit failed: %s", error)


@dataclass(frozen=True, slots=True)
class Database:
    """An engine and the sessions on it."""

    engine: Engine
    sessions: sessionmaker[Session]
    outbox: Outbox

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """Yield a session; commit at the end, roll back on any exception."""
        with self.sessions() as session:
            yield session
            session.commit()

    def close(self) -> None:
        """Run waiting effects and give back all connections."""
        self.outbox.close()
        self.engine.dispose()


def connect(
    url: str, *, ring: Ring | None = None, publish: Publish | None = None
) -> Database:
    """Open the database at a `postgresql+psycopg://` URL; connects lazily.

    `ring` wakes workers for a job, `publish` tells clients of an event; both run after
    the commit. Without them nobody is woken and the workers' clock finds the jobs.
    """
    engine = create_engine(
        url,
        pool_size=10,
        max_overflow=10,
        pool_timeout=5,
        pool_pre_ping=True,
        connect_args={
            "options": "-c statement_timeout=30000"
            " -c idle_in_transaction_session_timeout=60000 -c timezone=UTC",
            "connect_timeout": 5,
        },
    )
    outbox = Outbox()
    sessions = sessionmaker(
        engine,
        expire_on_commit=False,
        info={"outbox": outbox, "ring": ring, "publish": publish},
    )
    event.listen(sessions, "after_commit", _run_effects)
    event.listen(sessions, "after_rollback", _drop_effects)
    return Database(engine, sessions, outbox)


def ring_after_commit(session: Session, job_id: uuid.UUID, lane: str) -> None:
    """Wake the workers of `lane` once the transaction is committed."""
    if ring := session.info["ring"]:
        session.info.setdefault("effects", []).append(partial(ring, job_id, lane))


def publish_after_commit(
    session: Session, project_id: uuid.UUID, change: Event
) -> None:
    """Tell the project's clients once the transaction is committed."""
    if publish := session.info["publish"]:
        effect = partial(publish, project_id, change)
        session.info.setdefault("effects", []).append(effect)


def _run_effects(session: Session) -> None:
    # after_commit fires for a released SAVEPOINT too: nothing is committed then
    if session.in_nested_transaction():
        return
    for effect in session.info.pop("effects", []):
        session.info["outbox"].put(effect)


def _drop_effects(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop("effects", None)


def _alembic(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at `url` up, or down, to `revision`."""
    config = _alembic(url)
    if revision == "base" or revision.startswith("-"):
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def draft_migration(url: str, message: str, **options: Any) -> None:
    """Write a migration from the difference between the models and the database."""
    command.revision(_alembic(url), message, autogenerate=True, **options)


def drift(url: str) -> None:
    """Raise if models and migrations disagree."""
    command.check(_alembic(url))
