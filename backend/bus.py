"""Events on a Redis stream per project; losing Redis loses hints, never truth."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import redis
import redis.asyncio

from backend.domain.events import Event

KEPT = 1000
IDLE_SECONDS = 2
"""How long a reader waits for news before it yields None."""


def _stream(project_id: uuid.UUID) -> str:
    return f"events:{project_id}"


class Bus:
    """Publishes and reads the events of projects."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = redis.Redis.from_url(
            url, socket_timeout=0.5, socket_connect_timeout=0.5, decode_responses=True
        )

    def publish(self, project_id: uuid.UUID, event: Event) -> None:
        """Add an event; raises redis.RedisError if the broker does not answer."""
        fields: Any = {name: str(value) for name, value in asdict(event).items()}
        self._client.xadd(_stream(project_id), fields, maxlen=KEPT, approximate=True)

    def alive(self) -> bool:
        """Whether the broker answers."""
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False

    async def read(
        self, project_id: uuid.UUID, after: str
    ) -> AsyncIterator[tuple[str, dict[str, str]] | None]:
        """Yield (id, fields) of events after the id `after`, None when idle.

        "$" as `after` means from now on. Raises redis.RedisError when the broker goes.
        """
        client: Any = redis.asyncio.Redis.from_url(
            self._url,
            # longer than the wait for news, or silence would pass for an outage
            socket_timeout=IDLE_SECONDS + 3,
            socket_connect_timeout=2,
            decode_responses=True,
        )
        stream = _stream(project_id)
        try:
            if after == "$":  # asked again, it would skip what comes between two reads
                newest = await client.xrevrange(stream, count=1)
                after = newest[0][0] if newest else "0"
            while True:
                # RESP3 answers {stream: [entries]}, with None when nothing came
                answer = await client.xread(
                    {stream: after}, count=100, block=1000 * IDLE_SECONDS
                )
                entries = _entries(answer)
                if not entries:
                    yield None
                for id, fields in entries:
                    after = id
                    yield id, fields
        finally:
            await client.aclose()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _entries(answer: Any) -> list[tuple[str, dict[str, str]]]:
    """Return the entries of an XREAD of one stream, in either protocol's shape."""
    if not answer:
        return []
    if isinstance(answer, dict):
        (batches,) = answer.values()
        return [entry for batch in batches for entry in batch]
    ((_, entries),) = answer
    return list(entries)
