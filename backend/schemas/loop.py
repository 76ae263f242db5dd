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
    offsets: Mapping[int, float] = field(default_factory=dict)
    """Logit offset of label values; an evaluation chooses its own."""


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
    """Pooled counts of one label in one split, and those of each annotation.

    Counts are of the served labels. `positives` and `negatives` are 256 counts of
    pixels of the label and of pixels known not to be, by probability x 255.
    `undecided_missed` and `undecided_others` are 16 counts of the same two kinds, of
    pixels served as something else, by logit p (backend.ranker.statistics.LOGIT_EDGES).
    """

    split: Split
    value: int
    counts: Counts
    tiles: int
    average_precision: float | None
    by_annotation: Mapping[uuid.UUID, Counts] = field(default_factory=dict)
    positives: tuple[int, ...] = ()
    negatives: tuple[int, ...] = ()
    undecided_missed: tuple[int, ...] = ()
    undecided_others: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The stored sweeps, the offsets they were decided with, an evaluation's counts."""

    images: tuple[SweptImage, ...]
    measured: tuple[Measured, ...] = ()
    offsets: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PoolImage:
    """One pool image: its sweep, its tiles in grid order, and where it comes from."""

    image_id: uuid.UUID
    sweep: StoredTree
    tiles: tuple[uuid.UUID, ...]
    group: str | None = None
    donor: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What people painted on a tile that a Query asked for.

    `sweep` is the Query's version's own of the tile's image; the rest as in
    AnnotatedTile.
    """

    tile_id: uuid.UUID
    box: Box
    raster: bytes
    complete_for: tuple[int, ...]
    sweep: StoredTree


@dataclass(frozen=True, slots=True)
class Answered:
    """A Query, the files it stored, and the answers nothing was learnt from yet."""

    query_id: uuid.UUID
    scores: StoredTree
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class LessonOfTile:
    """What a version missed of one label on one tile; see backend.ranker.Lesson."""

    features: Mapping[str, float]
    prior: float
    missed: float


@dataclass(frozen=True, slots=True)
class TimedTile:
    """The score parts of a tile when it was asked for, and what painting it took."""

    parts: Mapping[str, float]
    minutes: float


@dataclass(frozen=True, slots=True)
class ScoreWork:
    """What the ranker needs to order the pool.

    `annotated` are the pool tiles that people have painted; `lessons` are by label
    value, those of `answers` still to be drawn; `controls` counts control tiles.
    """

    job_id: uuid.UUID
    fence: int
    strategy: str
    parameters: Mapping[str, Any]
    query_size: int
    reserve: int
    seed: int
    schema: LabelSchema
    images: tuple[PoolImage, ...]
    excluded: frozenset[uuid.UUID]
    validation: tuple[Measured, ...] = ()
    annotated: frozenset[uuid.UUID] = frozenset()
    controls: int = 0
    timed: tuple[TimedTile, ...] = ()
    lessons: Mapping[int, tuple[LessonOfTile, ...]] = field(default_factory=dict)
    answers: tuple[Answered, ...] = ()


HISTOGRAMS = "histograms.json"
"""File among a Query's stored scores: a list of backend.ranker.Histogram."""
KNOWLEDGE = "knowledge.json"
"""File among them: the backend.ranker.Knowledge that the order rests on."""
ASKED = "asked.npz"
"""File among them: what lessons will need of the tiles in the head."""


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
class LessonsOfTile:
    """What one tile of an earlier Query taught, by label value."""

    query_id: uuid.UUID
    tile_id: uuid.UUID
    lessons: Mapping[int, LessonOfTile]


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """The head of the order, all scores as a stored file, and what answers taught."""

    head: tuple[RankedTile, ...]
    scores: StoredTree
    lessons: tuple[LessonsOfTile, ...] = ()
