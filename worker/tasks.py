"""The whole Celery surface: two tasks, and a runner that lives with the worker."""

from celery import Celery
from celery.signals import celeryd_after_setup, worker_shutdown, worker_shutting_down

from backend.broker import doorbell
from backend.bus import Bus
from backend.db import Database, connect
from backend.services import clock
from backend.settings import Settings
from backend.storage import ArtifactStore
from worker.runner import Runner


class Works:
    """What one worker process holds between its start and its end."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        if settings.database_url is None or settings.broker_url is None:
            raise ValueError(
                "CISTERNA_DATABASE_URL and CISTERNA_BROKER_URL are not set; "
                "`cisterna up` starts embedded servers and sets them."
            )
        self.bus = Bus(settings.broker_url.get_secret_value())
        self.database: Database = connect(
            settings.database_url.get_secret_value(),
            ring=doorbell(app),
            publish=self.bus.publish,
        )
        self.runner = Runner(
            settings, self.database, ArtifactStore(settings.artifacts_url)
        )

    def close(self) -> None:
        """Wait for the jobs to go back to the ledger, then let go of everything."""
        self.runner.stop()
        self.runner.join()
        self.database.close()
        self.bus.close()


def register(app: Celery, settings: Settings) -> None:
    """Add the tasks to `app` and tie a runner to the worker's life."""
    here: list[Works] = []

    @app.task(name="cisterna.run_job")  # type: ignore[untyped-decorator]
    def run_job(id: str) -> None:
        """Hear the bell for a job; a free slot takes it from the ledger."""
        for works in here:
            works.runner.ring()

    @app.task(name="cisterna.tick")  # type: ignore[untyped-decorator]
    def tick() -> None:
        """Do what is due."""
        for works in here:
            clock.tick(works.database)

    # not worker_ready: that waits for the broker, and the ledger can do without
    @celeryd_after_setup.connect(weak=False)  # type: ignore[untyped-decorator]
    def start(**_: object) -> None:
        here.append(Works(app, settings))
        here[0].runner.start()

    @worker_shutting_down.connect(weak=False)  # type: ignore[untyped-decorator]
    def stop(**_: object) -> None:
        for works in here:
            works.runner.stop()

    @worker_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
    def close(**_: object) -> None:
        for works in here:
            works.close()
