"""Queries, the tasks made of them, and what people painted."""

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

from backend.domain.states import CHECKS, QueryState, TaskKind, TaskSource, TaskState
from backend.models.base import Base, Json, Row, state_column

_INDEPENDENT = CHECKS | {TaskSource.CONTROL}


class Query(Row):
    """One run of the ranker; all scores are one artifact, rows only for its head."""

    __tablename__ = "queries"
    __table_args__ = (
        Index(
            "uq_queries_live",
            "project_id",
            unique=True,
            postgresql_where=text("state = 'live'"),
        ),
    )

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    strategy: Mapped[str] = mapped_column(String(40))
    parameters: Mapped[Json] = mapped_column(default=dict)
    seed: Mapped[int]
    model_version_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("model_versions.id")
    )
    state: Mapped[QueryState] = mapped_column(state_column(QueryState))
    scores_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("artifacts.id"))


class QueryTile(Base):
    """One rank of a Query's head: tile, score, the parts of it and the reason."""

    __tablename__ = "query_tiles"
    __table_args__ = (UniqueConstraint("query_id", "tile_id"),)

    query_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("queries.id", ondelete="CASCADE"), primary_key=True
    )
    rank: Mapped[int] = mapped_column(primary_key=True)
    tile_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("tiles.id", ondelete="CASCADE"), index=True
    )
    score: Mapped[float]
    parts: Mapped[Json] = mapped_column(default=dict)
    reason: Mapped[str]
    lessons: Mapped[Json | None]
    """What the Query's version had missed there, once people have painted the tile."""


class Task(Row):
    """One tile for one person."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index(
            "uq_tasks_active",
            "tile_id",
            "kind",
            "slot",
            unique=True,
            postgresql_where=text("state IN ('open', 'claimed', 'submitted')"),
        ),
        # serves the claim: lowest rank of the project's open tasks
        Index(
            "ix_tasks_open",
            "project_id",
            "rank",
            postgresql_where=text("state = 'open'"),
        ),
        Index(
            "ix_tasks_lease",
            "lease_until",
            postgresql_where=text("state = 'claimed'"),
        ),
        CheckConstraint(
            "(state = 'claimed') = (lease_until IS NOT NULL)", name="lease_when_claimed"
        ),
        CheckConstraint(
            "state NOT IN ('claimed', 'submitted', 'returned')"
            " OR assignee_id IS NOT NULL",
            name="somebody_holds_it",
        ),
    )

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    tile_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("tiles.id", ondelete="CASCADE"), index=True
    )
    query_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("queries.id"))
    annotation_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("annotations.id", use_alter=True)
    )
    """The annotation under review, for kind `review`."""
    kind: Mapped[TaskKind] = mapped_column(state_column(TaskKind))
    source: Mapped[TaskSource] = mapped_column(state_column(TaskSource))
    slot: Mapped[int] = mapped_column(default=0)
    blind: Mapped[bool] = mapped_column(default=False)
    rank: Mapped[int]
    state: Mapped[TaskState] = mapped_column(
        state_column(TaskState), default=TaskState.OPEN
    )
    complete_for: Mapped[list[int] | None]
    """The labels asked for; None asks for every label of the schema."""
    assignee_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    lease_until: Mapped[dt.datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    skip_reason: Mapped[str | None]
    comment: Mapped[str | None]
    """What the reviewer wrote when sending it back."""
    updated_at: Mapped[dt.datetime | None]

    @property
    def independent(self) -> bool:
        """Whether its holder must not see what others made of the tile."""
        return self.kind is TaskKind.ANNOTATE and (
            self.blind or self.source in _INDEPENDENT
        )


class TaskHolder(Base):
    """Everybody who ever held a task's lease: their late submits are kept."""

    __tablename__ = "task_holders"

    task_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    claimed_at: Mapped[dt.datetime]


class Annotation(Row):
    """An immutable revision of a tile's mask.

    A trigger refuses every change but acceptance, retraction and the erasure of the
    raster when a donor withdraws consent.
    """

    __tablename__ = "annotations"
    __table_args__ = (
        UniqueConstraint("tile_id", "revision"),
        # what training_set_items points at: an annotation and its own tile
        UniqueConstraint("id", "tile_id"),
        Index("ix_annotations_project_id_created_at", "project_id", "created_at"),
        CheckConstraint(
            "(raster IS NULL) = (erased_at IS NOT NULL)", name="raster_until_erased"
        ),
        CheckConstraint("active_seconds >= 0", name="active_seconds"),
    )

    project_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE")
    )
    tile_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("tiles.id", ondelete="CASCADE")
    )
    revision: Mapped[int]
    task_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("tasks.id"))
    author_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    raster: Mapped[bytes | None] = mapped_column(deferred=True)
    """zlib of the tile's uint8 mask, row by row."""
    sha256: Mapped[str] = mapped_column(String(64))
    """Of the unpacked mask; stays when the raster is erased."""
    complete_for: Mapped[list[int]]
    active_seconds: Mapped[float | None]
    prediction_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("predictions.id", ondelete="SET NULL")
    )
    imported: Mapped[bool] = mapped_column(default=False)
    late: Mapped[bool] = mapped_column(default=False)
    accepted_at: Mapped[dt.datetime | None]
    accepted_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    retracted_at: Mapped[dt.datetime | None]
    retracted_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("users.id"))
    erased_at: Mapped[dt.datetime | None]


class Draft(Base):
    """Unsent work of one author on one tile; outlives leases."""

    __tablename__ = "drafts"

    author_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    tile_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("tiles.id", ondelete="CASCADE"), primary_key=True
    )
    raster: Mapped[bytes] = mapped_column(deferred=True)
    complete_for: Mapped[list[int]]
    active_seconds: Mapped[float] = mapped_column(default=0.0)
    updated_at: Mapped[dt.datetime]
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012
