"""What the jobs of the loop take and give: values between services and worker steps."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.domain.geometry import Box
from backend.domain.labels import LabelSchema
from backend.domain.metrics import Counts
from backend.domain.states import Split
from backend.schemas.stored import StoredImage, StoredTree


@dataclass(frozen=True, slots=True)
class AnnotatedTile:
    """One annotation as training and evaluation see it.

    `raster` is the packed mask (backend.domain.masks.pack), `complete_for` the label
    values a 0 in it excludes.
    """

    annotation_id: uuid.UUID
    image_id: uuid.UUID
    box: Box
    raster: bytes
    complete_for: tuple[int, ...]
    split: Split


@dataclass(frozen=True, slots=True)
class TrainWork:
    """Everything one training needs."""

    job_id: uuid.UUID
    fence: int
    segmenter: str
    settings: dict[str, Any]
    schema: LabelSchema
    images: tuple[StoredImage, ...]
    tiles: tuple[AnnotatedTile, ...]
    validation: tuple[AnnotatedTile, ...]
    working_nm: float | None
    seed: int
    plans: StoredTree | None
    """A model of this project whose frozen plans are used again."""
    start_from: StoredTree | None = None
    """The model a quick training goes on from; None trains from scratch."""
    fresh: frozenset[uuid.UUID] = frozenset()
    """Annotations that `start_from` has not learnt."""
    emphasis: Mapping[int, float] = field(default_factory=dict)
    """Share of the training patches drawn for each label value, summing to 1."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A stored model and what its training said of itself."""

    model: StoredTree
    settings: dict[str, Any]
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SweepWork:
    """Images one model has to sweep, and the annotations to measure it by."""

    job_id: uuid.UUID
    fence: int
    segmenter: str
    settings: dict[str, Any]
    model: StoredTree
    schema: LabelSchema
    tile_size: int
    images: tuple[StoredImage, ...]
    truth: tuple[AnnotatedTile, ...] = ()


@dataclass(frozen=True, slots=True)
class SweptImage:
    """One image's stored sweep."""

    image_id: uuid.UUID
    sweep: StoredTree
    members: int
    seconds: float
    label_pixels: dict[str, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """Pooled counts of one label in one split, and those of each annotation."""

    split: Split
    value: int
    counts: Counts
    tiles: int
    average_precision: float | None
    by_annotation: Mapping[uuid.UUID, Counts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The stored sweeps and, for an evaluation, the counts."""

    images: tuple[SweptImage, ...]
    measured: tuple[Measured, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolImage:
    """One pool image: its sweep and its tiles in grid order."""

    image_id: uuid.UUID
    sweep: StoredTree
    tiles: tuple[uuid.UUID, ...]


@dataclass(frozen=True, slots=True)
class ScoreWork:
    """What the ranker needs to order the pool."""

    job_id: uuid.UUID
    fence: int
    strategy: str
    query_size: int
    reserve: int
    seed: int
    schema: LabelSchema
    images: tuple[PoolImage, ...]
    excluded: frozenset[uuid.UUID]
    validation: tuple[Measured, ...] = ()


HISTOGRAMS = "histograms.json"
"""File among a Query's stored scores: a list of backend.ranker.Histogram."""


@dataclass(frozen=True, slots=True)
class RankedTile:
    """One rank of a Query's head; see backend.ranker.Ranked."""

    tile_id: uuid.UUID
    rank: int
    score: float
    component: str
    parts: dict[str, float]
    reason: str


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """The head of the order and all scores as a stored file."""

    head: tuple[RankedTile, ...]
    scores: StoredTree
