"""The doorbell: Celery's configuration and the ring that says "look at the ledger".

A ring carries a job id and may be lost or doubled without harm.
"""

import uuid
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from celery import Celery

TICK_QUEUE = "tick"


def kombu_url(url: str) -> str:
    """Translate a URL of redis-py's dialect into kombu's.

    redis-py says `unix:///path?db=1`, kombu `redis+socket:///path?virtual_host=1`.
    """
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={database}"


def celery_app(broker_url: str, *, tick_seconds: float) -> Celery:
    """Return the Celery application that server, workers and beat share."""
    app = Celery("cisterna", broker=kombu_url(broker_url), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "retry_on_timeout": False,
        },
        task_publish_retry=False,
        timezone="UTC",
        beat_schedule={
            "tick": {
                "task": "cisterna.tick",
                "schedule": tick_seconds,
                "options": {"queue": TICK_QUEUE, "expires": tick_seconds * 3},
            }
        },
    )
    return app


def doorbell(app: Celery) -> Callable[[uuid.UUID, str], None]:
    """Return the ring: a function that asks the workers of a lane to look at a job."""

    def ring(job_id: uuid.UUID, lane: str) -> None:
        app.send_task("cisterna.run_job", [str(job_id)], queue=lane, retry=False)

    return ring
