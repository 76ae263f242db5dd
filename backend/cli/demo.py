"""`cisterna demo`: a synthetic liver project, ready to be painted within a minute."""

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from backend.cli.beside import on_free_port, run_beside
from backend.cli.progress import lines
from backend.cli.stack import welcome
from backend.client import Cisterna, ClientError
from backend.domain.states import Split
from backend.imaging.phantom import phantom
from backend.schemas.model import NewTraining
from backend.schemas.project import NewProject
from backend.settings import Settings

FOLDER = Path("cisterna-demo")
SLUG, EDGE, TILE = "demo", 256, 128
IMAGES = [
    ("liver-01", Split.POOL, True),
    ("liver-02", Split.POOL, False),
    ("liver-03", Split.POOL, False),
    ("liver-04", Split.VALIDATION, True),
]
"""Name, split, annotated."""


def demo() -> None:
    """Serve a synthetic liver project with first predictions, in ./cisterna-demo.

    One image comes annotated, a forest learns from it, and the tiles to paint next are
    in order. Needs no network, GPU or container. A second time it serves what is there.
    """
    if not importlib.util.find_spec("sklearn"):
        raise ClientError(
            "The demo needs the worker's packages: pip install 'cisterna[worker]'."
        )
    began = time.monotonic()
    settings = Settings()
    if "CISTERNA_DATA_DIR" not in os.environ:
        settings = settings.model_copy(update={"data_dir": FOLDER.absolute()})
    settings = on_free_port(settings)

    def say(line: str) -> None:
        print(f"{'demo':>8} | {time.monotonic() - began:4.0f} s  {line}", flush=True)

    def work(service: Cisterna) -> None:
        if any(project.slug == SLUG for project in service.projects.list()):
            say(f"project {SLUG} is here already")
        else:
            prepare(service, say)
        say("ready: sign in, open the project and press Annotate")
        for line in welcome(settings):
            say(line)

    if status := run_beside(settings, work, say, stay=True):
        sys.exit(status)


def prepare(service: Cisterna, say: Callable[[str], None]) -> None:
    """Create the project, upload its images, let the forest learn and predict."""
    body = NewProject(
        name="Human liver (synthetic)", slug=SLUG, preset="liver", tile_size=TILE
    )
    labels = service.projects.create(body).labels
    say(f"project {SLUG}: {', '.join(label.name for label in labels)}")
    with tempfile.TemporaryDirectory(prefix="cisterna-demo-") as folder:
        for number, (name, split, annotated) in enumerate(IMAGES):
            made = phantom(number, EDGE, EDGE)
            file = Path(folder) / f"{name}.png"
            Image.fromarray(made.image).save(file)
            image = service.images.upload(
                SLUG, file, pixel_nm=made.pixel_nm, split=split
            )
            service.images.wait(image.id)
            if annotated:
                service.images.import_labels(image.id, made.labels, complete_for="all")
            say(f"image {name}: {split}{', with labels' if annotated else ''}")
    job = service.trainings.start(SLUG, NewTraining(segmenter="forest"))
    service.jobs.wait_for_round(SLUG, job.id, lines(say))
