"""The ledger of background work, and the policies that start it."""

import datetime as dt
import uuid

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.domain.states import JobKind, JobState, Lane, Schedule
from backend.models.base import Base, Json, Row, state_column


class Job(Row):
    """One piece of background work; the table is the queue of record."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "uq_jobs_dedupe_key",
            "dedupe_key",
            unique=True,
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        # one training per project at a time, whoever asks
        Index(
            "uq_jobs_training",
            "project_id",
            unique=True,
            postgresql_where=text("kind = 'train' AND state IN ('queued', 'running')"),
        ),
        Index(
            "ix_jobs_queued",
            "lane",
            "created_at",
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "ix_jobs_running",
            "lease_until",
            postgresql_where=text("state = 'running'"),
        ),
        CheckConstraint(
            "(state = 'running') = (lease_until IS NOT NULL)", name="lease_when_running"
        ),
    )

    project_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[JobKind] = mapped_column(state_column(JobKind))
    lane: Mapped[Lane] = mapped_column(state_column(Lane))
    payload: Mapped[Json] = mapped_column(default=dict)
    state: Mapped[JobState] = mapped_column(
        state_column(JobState), default=JobState.QUEUED
    )
    dedupe_key: Mapped[str | None] = mapped_column(String(200))
    requested_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    fence: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int] = mapped_column(default=3)
    not_before: Mapped[dt.datetime | None]
    worker: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[dt.datetime | None]
    heartbeat_at: Mapped[dt.datetime | None]
    progress_at: Mapped[dt.datetime | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]
    message: Mapped[str | None]
    fraction: Mapped[float | None]
    progress: Mapped[Json] = mapped_column(default=dict)
    """The newest step and metrics, and the seconds left once they can be told."""
    log: Mapped[str] = mapped_column(default="", deferred=True, deferred_group="told")
    """The tail of the log, at most 16 KiB."""
    curve: Mapped[list[Json]] = mapped_column(
        default=list, deferred=True, deferred_group="told"
    )
    """How a training goes: points of loss and Dice, at most 400."""
    error: Mapped[str | None]
    result: Mapped[Json] = mapped_column(default=dict)


class Policy(Row):
    """When to retrain."""

    __tablename__ = "policies"
    __table_args__ = (
        CheckConstraint(
            "every_annotations IS NOT NULL OR cron IS NOT NULL", name="has_a_trigger"
        ),
        CheckConstraint("every_annotations > 0", name="every_annotations"),
        CheckConstraint("minimum_minutes >= 0", name="minimum_minutes"),
        CheckConstraint(
            "(quiet_from IS NULL) = (quiet_until IS NULL)", name="quiet_hours"
        ),
    )

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(String(100))
    enabled: Mapped[bool] = mapped_column(default=True)
    every_annotations: Mapped[int | None]
    cron: Mapped[str | None] = mapped_column(String(100))
    minimum_minutes: Mapped[float] = mapped_column(default=0.0)
    schedule: Mapped[Schedule] = mapped_column(
        state_column(Schedule), default=Schedule.AUTO
    )
    quiet_from: Mapped[dt.time | None]
    quiet_until: Mapped[dt.time | None]
    watermark: Mapped[dt.datetime | None]
    """The cron window after which the next one counts."""
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class PolicyFiring(Base):
    """One row per policy and window: a policy fires once however many clocks run."""

    __tablename__ = "policy_firings"
    __table_args__ = (UniqueConstraint("policy_id", "window"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    policy_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("policies.id", ondelete="CASCADE")
    )
    window: Mapped[str] = mapped_column(String(100))
    job_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("jobs.id", ondelete="SET NULL")
    )
    outcome: Mapped[str]
    fired_at: Mapped[dt.datetime]
