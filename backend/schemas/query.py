"""Bodies of queries and of tiles with their state."""

import datetime as dt
import uuid
from typing import Annotated, Literal

from pydantic import Field

from backend.domain.states import QueryState
from backend.schemas.base import Body, View
from backend.schemas.task import TileView


class NewQuery(Body):
    """Pool tiles to serve, in this order."""

    tiles: Annotated[list[uuid.UUID], Field(min_length=1, max_length=1000)] = Field(
        examples=[["1b4e28ba-2fa1-41d2-883f-0016d3cca427"]]
    )
    complete_for: list[int] | None = Field(
        None,
        min_length=1,
        description="Values of the labels people are asked for; null asks for all.",
        examples=[[4]],
    )


class QueryView(View):
    """One run of the ranker."""

    id: uuid.UUID
    project_id: uuid.UUID
    strategy: str
    parameters: dict[str, object]
    seed: int
    model_version_id: uuid.UUID | None
    state: QueryState
    size: int = Field(description="Tiles in its head.")
    created_at: dt.datetime


class QueryTileView(View):
    """One rank of a Query's head."""

    rank: int
    tile: TileView
    score: float
    component: str = Field(description="The part of the strategy that chose the tile.")
    parts: dict[str, float]
    reason: str


TileState = Literal[
    "free", "open", "claimed", "submitted", "returned", "skipped", "annotated"
]


class TileStateView(TileView):
    """A tile and what has become of it."""

    state: TileState
    annotation_id: uuid.UUID | None = Field(description="Newest accepted revision.")
