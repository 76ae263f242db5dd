"""A service on a real port with a worker beside it, for the client and the commands."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from api_fixtures import run_jobs
from fastapi import FastAPI
from PIL import Image

from backend.app import create_app
from backend.client import Cisterna
from backend.schemas.project import NewProject
from backend.services import people
from backend.settings import Settings
from worker.runner import Runner


class Live:
    """A service that answers at `url`, and `service`, its admin's client."""

    def __init__(self, app: FastAPI, settings: Settings, url: str) -> None:
        self.app, self.settings, self.url = app, settings, url
        self.token = settings.admin_token_file.read_text().strip()
        self.service = Cisterna(url, self.token)

    def project(self) -> str:
        """Make a liver project with tiles of 64 pixels; returns its slug."""
        body = NewProject(
            name="Liver", preset="liver", tile_size=64, query_size=3, segmenter="forest"
        )
        return self.service.projects.create(body).slug

    def work(self) -> None:
        """Do all background work that waits now."""
        run_jobs(self.app)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Do background work as it comes."""
        settings = self.settings.model_copy(update={"tick_seconds": 0.1})
        runner = Runner(settings, self.app.state.database, self.app.state.store)
        runner.start()
        try:
            yield
        finally:
            runner.stop()
            runner.join()


@pytest.fixture
def live(settings: Settings) -> Iterator[Live]:
    """A service on loopback in this process."""
    with serving(settings) as running:
        yield running


@contextmanager
def serving(settings: Settings) -> Iterator[Live]:
    """Serve on a free port of loopback, from a thread of this process."""
    app = create_app(settings)
    with app.state.database.unit_of_work() as session:
        people.ensure_admin(session, settings.admin_token_file)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    running = Live(app, settings, f"http://127.0.0.1:{port}")
    try:
        yield running
    finally:
        running.service.close()
        server.should_exit = True
        thread.join()


@pytest.fixture
def grey() -> Callable[[Path], Path]:
    """Write a PNG of 96 x 80 pixels of noise."""

    def write(file: Path) -> Path:
        noise = np.random.default_rng(5).integers(0, 256, (96, 80), np.uint8)
        Image.fromarray(noise).save(file)
        return file

    return write
