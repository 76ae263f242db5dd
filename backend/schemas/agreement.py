"""Bodies of gold tiles, the feedback on them, and how far people agree."""

import datetime as dt
import uuid

from pydantic import Field

from backend.schemas.base import View
from backend.schemas.task import TileView


class GoldView(View):
    """A tile whose truth is settled, and the revision that is taken for it."""

    tile_id: uuid.UUID
    tile: TileView
    annotation_id: uuid.UUID
    made_by: uuid.UUID
    practice: bool = Field(
        description="Whether people practise on it; it measures nobody then."
    )
    created_at: dt.datetime


class HintView(View):
    """Where an answer differs from the truth for one label."""

    label: str
    dice: float | None
    missed: int = Field(description="Pixels of the label that were not painted.")
    invented: int = Field(description="Pixels that were painted and are none of it.")
    y: int = Field(description="Where most of the larger of the two is, in the tile.")
    x: int
    text: str


class ScoreView(View):
    """How an answer compares with the truth for one label."""

    label: str
    dice: float | None = Field(description="Null if neither has the label.")
    missed: int = Field(description="Pixels of the label that were not painted.")
    invented: int = Field(description="Pixels that were painted and are none of it.")


class FeedbackView(View):
    """What an answer showed; all empty where there is nothing to say."""

    hints: list[HintView] = Field(description="At most three, worst label first.")
    scores: list[ScoreView] = Field(description="One for each label of the project.")
    annotation_id: uuid.UUID | None = Field(description="Whose mask is the truth.")


class PracticeView(View):
    """A tile to practise on, and the annotation whose mask is its truth."""

    annotation_id: uuid.UUID
    tile: TileView
    complete_for: list[int]


class LabelAgreementView(View):
    """Agreement on one label."""

    dice: float | None = Field(
        description="Pooled over the tiles; null if nobody drew it."
    )
    tiles: int = Field(description="Tiles in which somebody drew it.")


class AgreementOn(View):
    """Agreement over a number of tiles, by label."""

    tiles: int
    labels: dict[str, LabelAgreementView]


class PersonAgreement(AgreementOn):
    """One person's answers against gold."""

    user_id: uuid.UUID
    name: str


class Arm(View):
    """Tiles of one kind and their mean Dice with the model's prediction."""

    dice: float | None
    tiles: int


class Anchoring(View):
    """How near masks are to the pre-label, where it was shown and where it was not.

    A mask that follows what it was shown more closely than a blind one does is
    anchored. A prediction that is no longer stored cannot be compared with.
    """

    shown: Arm
    blind: Arm


class AgreementView(View):
    """How far people agree; each part over its newest 100 tiles."""

    gold_tiles: int = Field(description="Gold tiles of the project.")
    second: AgreementOn = Field(
        description="Second opinions against the accepted mask of the tile."
    )
    gold: AgreementOn = Field(description="Everybody's answers against gold.")
    people: list[PersonAgreement]
    anchoring: Anchoring
