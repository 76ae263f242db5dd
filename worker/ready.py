"""What a slot does between jobs: it keeps its child ready for the next one."""

import logging
import threading
import time
import uuid
from pathlib import Path

from sqlalchemy import select

from backend.db import Database
from backend.domain.states import JobKind, Lane
from backend.models import Job
from backend.schemas.stored import StoredTree
from backend.services import artifacts, jobs, models
from backend.storage import ArtifactStore
from worker.models import local_model
from worker.segmenter import Progress, Stop
from worker.segmenters import Segmenters

logger = logging.getLogger(__name__)

_WITH_MODEL = (JobKind.TRAIN, JobKind.EVALUATE, JobKind.PREDICT)
IDLE_SECONDS = 1800.0
"""How long a slot without a job keeps its child."""
LOADING_SECONDS = 300.0


class Ready:
    """Keeps the live version of the project that was worked for last loaded.

    So the next sweep starts at once, after a promotion or a rollback too. A child that
    had no job for long ends, and so does an idle one while another slot of its lane
    trains: a training may want all the memory there is. An `eager` slot starts with the
    project that any worker worked for last, without waiting for a job of its own.
    """

    def __init__(
        self,
        lane: Lane,
        database: Database,
        store: ArtifactStore,
        cache: Path,
        segmenters: Segmenters,
        stopping: threading.Event,
        *,
        eager: bool = False,
    ) -> None:
        self._lane, self._eager = lane, eager
        self._database, self._store, self._cache = database, store, cache
        self._segmenters = segmenters
        self._stopping = stopping
        self._project: uuid.UUID | None = None
        self._loaded: StoredTree | None = None
        self._since = time.monotonic()

    def worked(self, job: Job) -> None:
        """Note that a job has ended in this slot."""
        self._since = time.monotonic()
        self._eager = False
        if job.kind in _WITH_MODEL:
            self._project, self._loaded = job.project_id, None

    def look(self, *, crowded: bool) -> None:
        """Load what is live by now; `crowded` says that another slot trains."""
        if self._eager:
            self._project, self._eager = self._latest(), False
        if time.monotonic() - self._since > IDLE_SECONDS:
            self._project = None
        if crowded or self._project is None:
            self._segmenters.close()
            self._loaded = None
            return
        with self._database.unit_of_work() as session:
            live = models.live(session, self._project)
            if live is None or live.artifact_id is None:
                return
            name, settings = live.segmenter, live.settings
            tree = artifacts.tree(session, live.artifact_id)
        if tree == self._loaded or jobs.lane_of(name) is not self._lane:
            return
        try:
            folder = local_model(tree, self._store, self._cache)
            self._segmenters.named(name, settings).load(
                folder, _Patience(self._stopping)
            )
            self._loaded = tree
            logger.info("Loaded the live model of project %s", self._project)
        except Stop:
            logger.info("Stopped loading a model ahead")
        except Exception:
            logger.exception("A model could not be loaded ahead")
            self._project = None  # a job will say what is wrong

    def _latest(self) -> uuid.UUID | None:
        """Return the project that was worked for last in this lane."""
        job = select(Job.project_id).where(
            Job.lane == self._lane, Job.kind.in_(_WITH_MODEL)
        )
        with self._database.unit_of_work() as session:
            return session.scalar(job.order_by(Job.created_at.desc()).limit(1))


class _Patience:
    """A Report for work that belongs to no job: it listens to the worker's end only."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._until = time.monotonic() + LOADING_SECONDS

    def __call__(self, progress: Progress) -> None:
        """Nobody reads it."""

    def check(self) -> None:
        """Raise Stop when the worker shuts down or loading takes too long."""
        if self._stopping.is_set() or time.monotonic() > self._until:
            raise Stop
