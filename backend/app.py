"""create_app(settings): the one constructor of the HTTP service.

`python -m backend.app` prints its OpenAPI document; `make openapi` keeps that.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import FastAPI
from pydantic import SecretStr

from backend.api import (
    annotations,
    comments,
    document,
    events,
    examples,
    exports,
    health,
    images,
    imports,
    jobs,
    metrics,
    models,
    packages,
    page,
    people,
    policies,
    predictions,
    problems,
    projects,
    quality,
    queries,
    strategies,
    tasks,
    uploads,
    viewer,
)
from backend.api.idempotency import Replay, replay
from backend.broker import celery_app, doorbell
from backend.bus import Bus
from backend.db import connect
from backend.settings import Settings
from backend.storage import ArtifactStore

PUBLIC = frozenset(
    {
        "/",
        "/docs",
        "/docs/{file}",
        "/assets/{file}",
        "/favicon.svg",
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/openapi.json",
        "/api/v1/sessions",
    }
)
"""Paths that answer without a principal; a test walks all others."""

ROUTERS = (
    projects.router,
    examples.router,
    people.router,
    people.sessions,
    images.router,
    images.streams,
    uploads.router,
    uploads.streams,
    imports.router,
    tasks.router,
    annotations.router,
    comments.router,
    jobs.router,
    policies.router,
    events.router,
    models.router,
    models.streams,
    packages.router,
    packages.streams,
    predictions.router,
    queries.router,
    strategies.router,
    metrics.router,
    quality.router,
    exports.router,
    exports.streams,
)


def create_app(settings: Settings) -> FastAPI:
    """Return the service for these settings; both server URLs must be set."""
    if settings.database_url is None or settings.broker_url is None:
        raise ValueError(
            "CISTERNA_DATABASE_URL and CISTERNA_BROKER_URL are not set; "
            "`cisterna up` starts embedded servers and sets them."
        )
    broker_url = settings.broker_url.get_secret_value()
    bus = Bus(broker_url)
    celery = celery_app(broker_url, tick_seconds=settings.tick_seconds)
    database = connect(
        settings.database_url.get_secret_value(),
        ring=doorbell(celery),
        publish=bus.publish,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        database.close()
        bus.close()

    app = FastAPI(
        title="Cisterna",
        version="1",
        summary="Human-in-the-loop active learning for EM organelle segmentation",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=document.operation_id,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.bus = bus
    app.state.store = ArtifactStore(settings.artifacts_url)
    problems.install(app)
    app.add_exception_handler(Replay, replay)
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    app.include_router(health.router)
    app.include_router(metrics.scrape)
    metrics.install(app, database)
    document.install(app)
    app.include_router(viewer.router)
    page.install(app)
    return app


def from_environment() -> FastAPI:
    """Factory for uvicorn: the settings come from the environment."""
    return create_app(Settings())


def detached(data_dir: Path) -> FastAPI:
    """Return the service without servers: enough for its pages and its document."""
    nowhere = Settings(
        database_url=SecretStr("postgresql+psycopg://"),
        broker_url=SecretStr("redis://"),
        data_dir=data_dir,
    )
    return create_app(nowhere)


if __name__ == "__main__":
    with TemporaryDirectory() as directory:
        sys.stdout.write(document.text(detached(Path(directory))))
