"""The ledger: the table of background work and every step a job can take in it.

A worker claims a job and gets a fence, a number that grows with each claim. Whatever it
writes about the job afterwards names that fence; if somebody else has claimed the job
since, the write finds no row and LostFence says: you are no longer wanted, stop.
"""

import datetime as dt
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from backend.db import publish_after_commit, ring_after_commit
from backend.domain.errors import Conflict
from backend.domain.events import Event, EventKind
from backend.domain.states import JOB_STEPS, JobKind, JobState, Lane, step
from backend.models import Job, ModelVersion
from backend.services import audit
from backend.services.access import Principal, now

logger = logging.getLogger(__name__)

NOUNS = {
    JobKind.INGEST: "images",
    JobKind.TRAIN: "trainings",
    JobKind.EVALUATE: "evaluations",
    JobKind.PREDICT: "predictions",
    JobKind.SCORE: "queries",
    JobKind.EXPORT: "exports",
    JobKind.PACKAGE: "packages",
}
"""The module of backend.services that knows a kind: prepare, conclude, on_failure."""

LIVE = (JobState.QUEUED, JobState.RUNNING)
RETRY_PAUSE = dt.timedelta(seconds=10)
"""Pause before the second attempt of a failed job; it grows with each attempt."""
RUNG_AGAIN = dt.timedelta(minutes=10)
"""How long a waiting job is rung again; later the workers' own clocks find it."""


class LostFence(Conflict):
    """The job was given to somebody else, cancelled or deleted: write nothing."""

    title = "This job is no longer yours"


@dataclass(frozen=True, slots=True)
class News:
    """What a running job says of itself; `log` is the whole tail, at most 16 KiB.

    `curve` is the whole curve, or None if it is as it was told before.
    """

    message: str
    fraction: float | None
    log: str
    progress: dict[str, object] = field(default_factory=dict)
    curve: list[dict[str, object]] | None = None


def enqueue(
    session: Session,
    kind: JobKind,
    lane: Lane,
    payload: dict[str, object],
    *,
    project_id: uuid.UUID,
    dedupe_key: str | None = None,
    requested_by: uuid.UUID | None = None,
    max_attempts: int = 3,
    not_before: dt.datetime | None = None,
) -> Job:
    """Queue a job in the caller's transaction and ring after its commit.

    Raises Conflict if a job with this `dedupe_key`, or another training of the same
    project, is queued or running.
    """
    id = session.scalar(
        insert(Job)
        .values(
            id=uuid.uuid4(),
            project_id=project_id,
            kind=kind,
            lane=lane,
            payload=payload,
            state=JobState.QUEUED,
            dedupe_key=dedupe_key,
            requested_by=requested_by,
            max_attempts=max_attempts,
            not_before=not_before,
        )
        .on_conflict_do_nothing()
        .returning(Job.id)
    )
    if id is None:
        raise Conflict(
            f"A {kind} job for this is queued or running already; wait or cancel it."
        )
    ring_after_commit(session, id, lane)
    announce(session, project_id, id, JobState.QUEUED)
    return session.scalars(select(Job).where(Job.id == id)).one()


def lane_of(segmenter: str) -> Lane:
    """Return the lane in which a segmenter trains and sweeps."""
    return Lane.CPU if segmenter == "forest" else Lane.GPU


def version_of(session: Session, job: Job) -> ModelVersion:
    """Return the model version a job of the loop is about."""
    id = uuid.UUID(str(job.payload["model_version_id"]))
    return session.get_one(ModelVersion, id)


def announce(
    session: Session, project_id: uuid.UUID | None, id: uuid.UUID, state: JobState
) -> None:
    """Publish a job's new state to the project's clients."""
    if project_id is not None:
        publish_after_commit(session, project_id, Event(EventKind.JOB, str(id), state))


def listed(
    project_id: uuid.UUID, state: JobState | None, kind: JobKind | None
) -> Select[Job]:
    """Select the jobs of a project, of one state or kind if given."""
    statement = select(Job).where(Job.project_id == project_id)
    if state is not None:
        statement = statement.where(Job.state == state)
    if kind is not None:
        statement = statement.where(Job.kind == kind)
    return statement


def cancel(session: Session, principal: Principal, job: Job) -> Job:
    """Cancel a job: at once if it waits, at its worker's next heartbeat if it runs.

    The row must be locked. Raises Conflict if the job has ended otherwise.
    """
    if job.state not in (*LIVE, JobState.CANCELLED):
        raise Conflict(f"This job has ended already: it is {job.state}.")
    if job.state in LIVE and not job.cancel_requested:
        job.cancel_requested = True
        audit.record(
            session, principal, "cancel", "job", job.id, project_id=job.project_id
        )
        if job.state is JobState.QUEUED:
            _move(session, job, JobState.CANCELLED)
        else:
            announce(session, job.project_id, job.id, job.state)
        session.flush()
    return job


# What a worker does


def _due() -> ColumnElement[bool]:
    return or_(Job.not_before.is_(None), Job.not_before <= func.now())


def claim(
    session: Session, lanes: Sequence[Lane], worker: str, lease: dt.timedelta
) -> Job | None:
    """Take the oldest waiting job of these lanes for an attempt; None if none waits.

    Compare-and-set in one statement: of many claimers exactly one gets a job.
    """
    oldest = (
        select(Job.id)
        .where(Job.state == JobState.QUEUED, Job.lane.in_(lanes), _due())
        .order_by(Job.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    job = session.scalar(
        update(Job)
        .where(Job.id == oldest.scalar_subquery(), Job.state == JobState.QUEUED)
        .values(
            state=JobState.RUNNING,
            fence=Job.fence + 1,
            attempts=Job.attempts + 1,
            worker=worker,
            lease_until=func.now() + lease,
            heartbeat_at=func.now(),
            progress_at=func.now(),
            started_at=func.now(),
            not_before=None,
            error=None,
        )
        .returning(Job)
    )
    if job is not None:
        announce(session, job.project_id, job.id, job.state)
    return job


def heartbeat(
    session: Session, id: uuid.UUID, fence: int, lease: dt.timedelta, news: News | None
) -> bool:
    """Renew a running job's lease and record its news; return whether to cancel it.

    Raises LostFence if the job is not held under this fence any more.
    """
    values: dict[str, object] = {
        "lease_until": func.now() + lease,
        "heartbeat_at": func.now(),
    }
    if news is not None:
        values |= {
            "message": news.message,
            "fraction": news.fraction,
            "progress": news.progress,
            "log": news.log,
            "progress_at": func.now(),
        }
        if news.curve is not None:
            values["curve"] = news.curve
    row = session.execute(
        update(Job)
        .where(Job.id == id, Job.fence == fence, Job.state == JobState.RUNNING)
        .values(values)
        .returning(Job.cancel_requested, Job.project_id)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if row is None:
        raise _lost(id)
    if news is not None:
        announce(session, row.project_id, id, JobState.RUNNING)
    return bool(row.cancel_requested)


def lock_fenced(session: Session, id: uuid.UUID, fence: int) -> Job:
    """Return the running job locked for an ending; LostFence if it is not ours."""
    job = session.scalar(
        select(Job)
        .where(Job.id == id, Job.fence == fence, Job.state == JobState.RUNNING)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if job is None:
        raise _lost(id)
    return job


def _lost(id: uuid.UUID) -> LostFence:
    return LostFence(f"Job {id} is not held under this fence; leave it alone.")


# How a running job ends; the row is locked in all of these


def succeed(session: Session, job: Job) -> None:
    """Close a job whose result is recorded."""
    job.fraction = 1.0
    _move(session, job, JobState.SUCCEEDED)


def put_back(session: Session, job: Job) -> None:
    """Queue a job again because its worker shuts down; the attempt does not count."""
    if job.cancel_requested:
        cancelled(session, job)
        return
    job.attempts -= 1
    _move(session, job, JobState.QUEUED)


def cancelled(session: Session, job: Job) -> None:
    """Close a job that stopped because somebody asked."""
    _move(session, job, JobState.CANCELLED)


def fail(
    session: Session, job: Job, error: str, *, retryable: bool, crashed: bool = False
) -> None:
    """Queue a failed job again if that may help, else close it.

    After the last attempt it is `quarantined` if it crashed, so that somebody looks
    before it takes down one more worker, else `failed`.
    """
    if job.cancel_requested:
        cancelled(session, job)
        return
    job.error = error
    if retryable and job.attempts < job.max_attempts:
        job.not_before = now() + RETRY_PAUSE * job.attempts
        _move(session, job, JobState.QUEUED)
    else:
        _move(session, job, JobState.QUARANTINED if crashed else JobState.FAILED)


def _move(session: Session, job: Job, state: JobState) -> None:
    job.state = step(JOB_STEPS, job.state, state)
    job.lease_until = None
    if state not in LIVE:
        job.finished_at = now()
    session.flush()
    announce(session, job.project_id, job.id, state)
    if state is JobState.QUEUED:
        ring_after_commit(session, job.id, job.lane)
    elif state is not JobState.SUCCEEDED:
        _tell(session, job)


def _tell(session: Session, job: Job) -> None:
    """Let the kind's service mend its own rows after a job that came to nothing."""
    try:
        with session.begin_nested():
            # by name, at the last moment: these modules import this one
            service = import_module(f"backend.services.{NOUNS[job.kind]}")
            if on_failure := getattr(service, "on_failure", None):
                on_failure(session, job)
    except Exception:
        # the job has ended all the same; without this it would never end
        logger.exception("After the end of %s job %s", job.kind, job.id)


# What the clock does


def reclaim(session: Session) -> int:
    """End the attempts whose lease has lapsed; return how many there were."""
    lapsed = session.scalars(
        select(Job)
        .where(Job.state == JobState.RUNNING, Job.lease_until < func.now())
        .order_by(Job.lease_until)
        .with_for_update(skip_locked=True)
    ).all()
    for job in lapsed:
        logger.warning("The lease of job %s at %s has lapsed", job.id, job.worker)
        error = (
            f"The worker {job.worker} stopped answering during attempt {job.attempts}."
        )
        fail(session, job, error, retryable=True, crashed=True)
        job.not_before = None  # the lease was pause enough
    session.flush()
    return len(lapsed)


def ring_waiting(session: Session) -> None:
    """Ring for the oldest waiting job of each lane, in case its own ring was lost."""
    since = func.greatest(Job.created_at, Job.not_before)
    rows = session.execute(
        select(Job.id, Job.lane)
        .where(Job.state == JobState.QUEUED, _due(), since > func.now() - RUNG_AGAIN)
        .ext(distinct_on(Job.lane))
        .order_by(Job.lane, Job.created_at)
    )
    for id, lane in rows:
        ring_after_commit(session, id, lane)
