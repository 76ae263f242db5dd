"""The Celery application of workers and beat.

    celery -A worker.app worker -P threads -c 4 -Q cpu,gpu,tick
    celery -A worker.app beat

A worker consumes the queues of the lanes it serves (CISTERNA_LANES), and `tick`.
"""

import logging

from celery import Celery

from backend.broker import celery_app
from backend.settings import Settings
from worker.tasks import register


def create_worker(settings: Settings) -> Celery:
    """Return the application for these settings; the broker's URL must be set."""
    if settings.broker_url is None:
        raise ValueError(
            "CISTERNA_BROKER_URL is not set; `cisterna up` starts an embedded Valkey "
            "and sets it."
        )
    app = celery_app(
        settings.broker_url.get_secret_value(), tick_seconds=settings.tick_seconds
    )
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    app.conf.beat_schedule_filename = str(settings.data_dir.absolute() / "beat")
    # every tick and ring would be two lines; the runner tells of the jobs themselves
    for chatty in ("celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    register(app, settings)
    return app


app = create_worker(Settings())
