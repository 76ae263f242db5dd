"""Runs jobs: claim, prepare, run, conclude, with a heartbeat beside.

A runner has `slots` threads per lane. A slot that hears the bell takes the oldest
waiting job of its lane from the ledger, again until none waits. Whoever rings (Celery,
the clock, nobody for a while) makes no difference to what is run, or how often.
"""

import datetime as dt
import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any, TypeVar

from obstore.exceptions import BaseError as StoreError
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from backend.db import Database
from backend.domain.errors import DomainError, Unavailable
from backend.domain.states import ImageState, JobKind, JobState, Lane
from backend.models import Image, Job
from backend.services import clock, jobs
from backend.settings import Settings
from backend.storage import ArtifactStore
from worker.attempt import Attempt, Reason, clean
from worker.desk import Desk
from worker.images import forget_erased
from worker.ready import Ready
from worker.segmenter import Report, SegmenterError
from worker.segmenters import Segmenters

logger = logging.getLogger(__name__)
T = TypeVar("T")

DATABASE_AWAY = (OperationalError, PoolTimeout)


@dataclass(frozen=True, slots=True)
class Kind:
    """The three parts of a kind of job; only the middle one takes long.

    `prepare` gathers values in one transaction, `run` turns them into a result far from
    the database, `conclude` records the result in another transaction.
    """

    prepare: Callable[[Session, Job], Any]
    run: Callable[[Any, ArtifactStore, Report, Desk], Any]
    conclude: Callable[[Session, Job, Any], None]


def _wired(kind: JobKind) -> Kind:
    """Wire a kind by name, imported when the first such job comes."""

    def part(module: str, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            return getattr(import_module(module), name)(*arguments)

        return call

    service, steps = f"backend.services.{jobs.NOUNS[kind]}", f"worker.steps.{kind}"
    return Kind(part(service, "prepare"), part(steps, "run"), part(service, "conclude"))


KINDS = {kind: _wired(kind) for kind in JobKind}


class Runner:
    """The slots of one worker, and the clock that rings them without Celery."""

    def __init__(
        self, settings: Settings, database: Database, store: ArtifactStore
    ) -> None:
        self._settings = settings
        self._database = database
        self._store = store
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        data_dir = settings.data_dir.absolute()
        self._scratch, self._cache = data_dir / "scratch", data_dir / "cache"
        self._residents = data_dir / "residents" / self._name.replace(":", "-")
        self._stopping = threading.Event()
        self._bells: list[threading.Event] = []
        self._threads: list[threading.Thread] = []
        self._trainings: dict[uuid.UUID, Lane] = {}

    def start(self) -> None:
        """Start the slots and the clock; returns at once."""
        for lane in self._settings.lanes:
            for number in range(self._settings.slots):
                bell = threading.Event()
                self._bells.append(bell)
                self._spawn(
                    f"slot {lane} {number}", self._slot, Lane(lane), number, bell
                )
        self._spawn("clock", self._clock)

    def _spawn(
        self, name: str, target: Callable[..., None], *arguments: object
    ) -> None:
        thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def ring(self) -> None:
        """Let every free slot look at the ledger; a busy one looks when it is done."""
        for bell in self._bells:
            bell.set()

    def stop(self) -> None:
        """Ask all steps to save their state and end; returns at once."""
        self._stopping.set()
        self.ring()

    def join(self) -> None:
        """Wait until every job is back in the ledger."""
        for thread in self._threads:
            thread.join()
        shutil.rmtree(self._residents, ignore_errors=True)

    def _clock(self) -> None:
        while not self._stopping.is_set():
            clock.tick(self._database)
            self.ring()
            try:
                clock.collect(self._database, self._store)
                self._sweep()
                self._sweep_residents()
                forget_erased(self._cache, self._present)
            except Exception:
                logger.exception("Cleaning up failed")
            self._stopping.wait(self._settings.tick_seconds)

    def _sweep(self) -> None:
        """Remove the folders of jobs that have ended, whoever ran them."""
        if not self._scratch.exists():
            return
        folders = {uuid.UUID(path.name): path for path in self._scratch.iterdir()}
        with self._database.unit_of_work() as session:
            alive = select(Job.id).where(Job.id.in_(folders), Job.state.in_(jobs.LIVE))
            ended = folders.keys() - set(session.scalars(alive))
        for id in ended:
            shutil.rmtree(folders[id], ignore_errors=True)

    def _present(self, images: Collection[uuid.UUID]) -> Collection[uuid.UUID]:
        """Return those of these images that were not erased."""
        there = select(Image.id).where(
            Image.id.in_(images), Image.state != ImageState.DELETED
        )
        with self._database.unit_of_work() as session:
            return session.scalars(there).all()

    def _sweep_residents(self) -> None:
        """Remove what children of workers printed that were killed long ago."""
        self._residents.mkdir(parents=True, exist_ok=True)
        os.utime(self._residents)
        for folder in self._residents.parent.iterdir():
            if folder.stat().st_mtime < time.time() - 24 * 3600:
                shutil.rmtree(folder, ignore_errors=True)

    def _slot(self, lane: Lane, number: int, bell: threading.Event) -> None:
        lease = dt.timedelta(seconds=self._settings.job_lease_seconds)
        segmenters = Segmenters(self._residents / f"{lane}-{number}")
        ready = Ready(
            lane,
            self._database,
            self._store,
            self._cache,
            segmenters,
            self._stopping,
            eager=number == 0,
        )
        while not self._stopping.is_set():
            bell.clear()  # first: a ring during the look means one look more
            try:
                with self._database.unit_of_work() as session:
                    job = jobs.claim(session, [lane], self._name, lease)
                    if job is not None:
                        _ = job.log  # loads it while there is a session
                if job is not None:
                    self._attempt(job, segmenters)
                    ready.worked(job)
                    continue
                ready.look(crowded=self._is_crowded(lane))
            except Exception:
                logger.exception("A slot of lane %s stumbled", lane)
            bell.wait()
        segmenters.close()

    def _is_crowded(self, lane: Lane) -> bool:
        """Whether a training in this lane may want all the memory there is.

        Forests need little, and starting a child takes longer than their sweeps.
        """
        return lane is Lane.GPU and lane in list(self._trainings.values())

    def _attempt(self, job: Job, segmenters: Segmenters) -> None:
        kind = KINDS[job.kind]
        folder = self._scratch / str(job.id)
        scratch, keep = folder / str(job.fence), folder / "keep"
        desk = Desk(scratch, keep, self._cache, segmenters)
        logger.info("%s job %s, attempt %d", job.kind, job.id, job.attempts)
        with Attempt(job, self._database, self._settings, self._stopping) as attempt:
            try:
                if job.kind is JobKind.TRAIN:
                    self._trainings[job.id] = job.lane
                    self.ring()  # idle slots make room
                attempt.note(f"Attempt {job.attempts} on {self._name}")
                scratch.mkdir(parents=True, exist_ok=True)
                keep.mkdir(exist_ok=True)
                self._cache.mkdir(exist_ok=True)
                state = self._work(kind, attempt, desk)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
                self._trainings.pop(job.id, None)
        logger.info("%s job %s is %s", job.kind, job.id, state or "no longer ours")
        if state is not None and state not in jobs.LIVE:
            shutil.rmtree(folder, ignore_errors=True)

    def _work(self, kind: Kind, attempt: Attempt, desk: Desk) -> JobState | None:
        """Do the three parts; return the job's state, None if it is no longer ours."""
        try:
            try:
                value = self._unit(attempt, kind.prepare)
                attempt.check()
                result = kind.run(value, self._store, attempt, desk)
                conclusion = partial(_conclude, kind, attempt, result)
                return self._unit(attempt, conclusion)
            except jobs.LostFence:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the job must end
                return self._unit(attempt, partial(_give_up, attempt, error))
        except (jobs.LostFence, *DATABASE_AWAY) as error:
            logger.warning("Job %s is left to the clock: %s", attempt.id, error)
            return None

    def _unit(self, attempt: Attempt, work: Callable[[Session, Job], T]) -> T:
        """Run `work` on the locked job in one transaction.

        While the database is away it is tried again: a training of hours must not be
        lost because PostgreSQL restarts when it ends. The fence makes that safe even
        if a commit's answer was lost.
        """
        while True:
            try:
                with self._database.unit_of_work() as session:
                    job = jobs.lock_fenced(session, attempt.id, attempt.fence)
                    return work(session, job)
            except DATABASE_AWAY as error:
                logger.warning("Job %s waits for the database: %s", attempt.id, error)
                if attempt.reason is not None:
                    raise
                time.sleep(1)


def _conclude(
    kind: Kind, attempt: Attempt, result: Any, session: Session, job: Job
) -> JobState:
    attempt.last_words(job)
    if job.cancel_requested:
        jobs.cancelled(session, job)
    else:
        kind.conclude(session, job, result)
        jobs.succeed(session, job)
    return job.state


def _give_up(
    attempt: Attempt, error: Exception, session: Session, job: Job
) -> JobState:
    if attempt.reason is Reason.CANCELLED:
        attempt.note("Cancelled")
        ending = jobs.cancelled
    elif attempt.reason is Reason.SHUTDOWN:
        attempt.note("The worker shuts down; another one goes on")
        ending = jobs.put_back
    else:
        text, retryable, crashed = _diagnosis(attempt, error)
        attempt.note(text)
        ending = partial(
            jobs.fail, error=clean(text), retryable=retryable, crashed=crashed
        )
    attempt.last_words(job)
    ending(session, job)
    return job.state


def _diagnosis(attempt: Attempt, error: Exception) -> tuple[str, bool, bool]:
    """Return what to tell people, whether to try again, whether it was a crash."""
    if attempt.reason is Reason.STALLED:
        return "The job made no progress for too long and was stopped.", True, True
    if isinstance(error, SegmenterError):
        return str(error), error.retryable, error.retryable
    if isinstance(error, DomainError):
        return error.detail, isinstance(error, Unavailable), False
    if isinstance(error, DATABASE_AWAY):
        return "The database did not answer.", True, False
    if isinstance(error, OSError | StoreError):
        return f"Reading or writing files failed: {error}", True, False
    logger.error("A step failed unexpectedly", exc_info=error)
    return f"Unexpected {type(error).__name__}: {error}", False, False
