"""Bodies of a project's metrics."""

import datetime as dt
import uuid

from pydantic import Field

from backend.domain.states import ModelState
from backend.schemas.base import View
from backend.schemas.model import Quality


class FoundView(View):
    """Pixels of a label that a round's model had missed on the tiles it asked for.

    Divided by the tiles, the chosen ones say what the ranker found, those of chance
    what is found without it.
    """

    chosen_tiles: int = Field(0, description="Painted tiles that the ranker chose.")
    chosen_missed: int = 0
    chance_tiles: int = Field(0, description="Painted tiles drawn at random.")
    chance_missed: int = 0


class RoundView(View):
    """One round: a model version, its quality and what it cost people and machines."""

    model_version_id: uuid.UUID
    round: int
    state: ModelState
    segmenter: str
    quality: Quality
    schedule: str | None = Field(description="quick or full; null before it was known.")
    steps: int | None = Field(
        description="Optimiser steps of its first network; null until it is trained, "
        "and for a forest."
    )
    tiles: int = Field(description="Annotated tiles it learnt from.")
    pixels: int = Field(description="Pixels of those tiles, unknown ones included.")
    active_seconds: float | None = Field(
        description="People's time on those tiles; null if none was measured."
    )
    timed_tiles: int = Field(description="Tiles whose time was measured.")
    training_seconds: float | None = Field(
        description="The machine's time; null until it is trained."
    )
    found: dict[str, FoundView] = Field(
        description="By label, of painted tiles that this round asked for; they count "
        "from the ranking after the next training on."
    )
    created_at: dt.datetime
    promoted_at: dt.datetime | None


class AdviceView(View):
    """Whether a label is known well enough; null if that cannot be said yet."""

    enough: bool | None
    reason: str


class MetricsView(View):
    """All rounds of a project, oldest first, and what they advise per label."""

    project_id: uuid.UUID
    live_round: int | None
    rounds: list[RoundView]
    advice: dict[str, AdviceView] = Field(
        description="By label: a hint for people, nothing stops by itself."
    )
