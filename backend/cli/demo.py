"""`cisterna demo`: a synthetic liver project, ready to be painted within a minute."""

import importlib.util
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from backend.cli.beside import on_free_port, run_beside
from backend.cli.progress import lines
from backend.cli.stack import welcome
from backend.client import Cisterna
from backend.client.jobs import LIVE
from backend.domain.errors import Unavailable
from backend.domain.states import JobKind, ModelState, Split
from backend.imaging.phantom import phantom
from backend.schemas.policy import NewPolicy
from backend.schemas.project import NewProject
from backend.settings import Settings

SLUG, EDGE, TILE = "demo", 384, 128
IMAGES = [
    ("liver-01", Split.POOL, True),
    ("liver-02", Split.POOL, False),
    ("liver-03", Split.POOL, False),
    ("liver-04", Split.VALIDATION, True),
]
"""Name, split, annotated."""
PRACTICE = [(0, 256), (256, 0), (256, 256)]
"""(y, x) of the tiles of liver-01 to practise on, which hold all five labels."""
EVERY = 3
"""Tiles that somebody paints until the forest learns anew."""


def demo(
    data_dir: Annotated[
        Path, typer.Option(file_okay=False, help="Where all of it is kept.")
    ] = Path("cisterna-demo"),
) -> None:
    """Serve a synthetic liver project with first predictions, in ./cisterna-demo.

    One image comes annotated, a forest learns from it, and the tiles to paint next are
    in order. Needs no network, GPU or container. A second time it serves what is there.
    """
    if not importlib.util.find_spec("sklearn"):
        raise Unavailable(
            "The demo's forest needs scikit-learn: pip install 'cisterna[worker]', or "
            "scikit-learn alone to do without nnU-Net."
        )
    began = time.monotonic()
    # a service of its own, even where the environment names a laboratory's servers
    settings = on_free_port(
        Settings(
            data_dir=data_dir.absolute(),
            database_url=None,
            broker_url=None,
            storage_url=None,
            public_url=None,
            host="127.0.0.1",
            lanes=("cpu", "gpu"),
        )
    )

    def say(line: str) -> None:
        print(f"{'demo':>8} | {time.monotonic() - began:4.0f} s  {line}", flush=True)

    def work(service: Cisterna) -> None:
        prepare(service, say)
        say("ready: the link to sign in with leads to the first tile")
        for line in welcome(settings, f"projects/{SLUG}/annotate"):
            say(line)

    if status := run_beside(settings, work, say, stay=True, quiet=True):
        sys.exit(status)


def prepare(service: Cisterna, say: Callable[[str], None]) -> None:
    """Create the project, upload its images, let the forest learn and predict.

    What an interrupted start has done stays, and it goes on from there.
    """
    if not any(project.slug == SLUG for project in service.projects.list()):
        body = NewProject(
            name="Human liver (synthetic)",
            slug=SLUG,
            preset="liver",
            tile_size=TILE,
            segmenter="forest",
            # a tile without a suggestion, which measures, would look like a fault here
            strategy_parameters={"controls": 0},
        )
        labels = service.projects.create(body).labels
        say(f"project {SLUG}: {', '.join(label.name for label in labels)}")
    if any(model.state is ModelState.LIVE for model in service.models.list(SLUG)):
        say(f"project {SLUG} is here already")
        return
    trainings = service.jobs.list(SLUG, kind=JobKind.TRAIN)
    job = next((job for job in trainings if job.state in LIVE), None)
    if job is None:
        upload(service, say)
        job = service.trainings.start(SLUG)
    service.jobs.wait_for_round(SLUG, job.id, lines(say))
    policy = NewPolicy(name=f"every {EVERY} tiles", every_annotations=EVERY)
    service.policies.create(SLUG, policy)


def upload(service: Cisterna, say: Callable[[str], None]) -> None:
    """Paint and upload the images, with labels where somebody annotated them."""
    added = []
    with tempfile.TemporaryDirectory(prefix="cisterna-demo-") as folder:
        for number, (name, split, annotated) in enumerate(IMAGES):
            made = phantom(number, EDGE, EDGE)
            file = Path(folder) / f"{name}.png"
            Image.fromarray(made.image).save(file)
            image = service.images.upload(
                SLUG, file, pixel_nm=made.pixel_nm, split=split
            )
            added.append((image, made.labels if annotated else None))
    for image, labels in added:
        service.images.wait(image.id)
        if labels is not None:
            service.images.import_labels(image.id, labels, complete_for="all")
            if image.split is Split.POOL:
                allow_practice(service, image.id)
        said = "" if labels is None else ", with labels"
        say(f"image {image.name}: {image.split}{said}")


def allow_practice(service: Cisterna, image: uuid.UUID) -> None:
    """Let newcomers practise on tiles whose exact truth was imported."""
    for tile in service.queries.tiles(SLUG, image=image):
        if tile.annotation_id and (tile.box.y, tile.box.x) in PRACTICE:
            service.annotations.make_gold(tile.annotation_id, practice=True)
