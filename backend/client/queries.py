"""Queries: what the ranker asks for, in which order, and why."""

import uuid
from collections.abc import Iterator, Sequence

from backend.client.transport import Transport
from backend.domain.states import Split
from backend.schemas.job import JobView
from backend.schemas.query import (
    NewQuery,
    QueryTileView,
    QueryView,
    TileState,
    TileStateView,
)
from backend.schemas.queue import QueueView


class Queries:
    """Runs of the ranker, and tiles chosen by hand."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, project: str) -> Iterator[QueryView]:
        """Yield a project's queries, newest first."""
        return self._transport.pages(f"projects/{project}/queries", QueryView)

    def get(self, query: uuid.UUID) -> QueryView:
        """Return one query."""
        return self._transport.get(f"queries/{query}", QueryView)

    def ranks(self, query: uuid.UUID) -> Iterator[QueryTileView]:
        """Yield a query's tiles by rank, each with the reason it was chosen."""
        return self._transport.pages(f"queries/{query}/tiles", QueryTileView)

    def queue(self, project: str) -> QueueView:
        """Return what waits, in whose hands it is, and when it is ordered anew."""
        return self._transport.get(f"projects/{project}/queue", QueueView)

    def choose(
        self,
        project: str,
        tiles: Sequence[uuid.UUID],
        complete_for: Sequence[int] | None = None,
    ) -> QueryView:
        """Serve these pool tiles next, in this order, for these label values or all."""
        wanted = None if complete_for is None else [*complete_for]
        body = NewQuery(tiles=[*tiles], complete_for=wanted)
        return self._transport.post(f"projects/{project}/queries", QueryView, body)

    def rerank(self, project: str) -> JobView:
        """Rank the pool again, by the project's present strategy and labels."""
        return self._transport.post(f"projects/{project}/queries/rerank", JobView)

    def tiles(
        self,
        project: str,
        *,
        image: uuid.UUID | None = None,
        split: Split | None = None,
        state: TileState | None = None,
    ) -> Iterator[TileStateView]:
        """Yield tiles with what has become of them."""
        params = {"image": image and str(image), "split": split, "state": state}
        return self._transport.pages(f"projects/{project}/tiles", TileStateView, params)
