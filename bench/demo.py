"""The demo: the whole loop on synthetic liver images, from one annotated image.

    python -m bench.demo        (or `make demo`)

Everything runs in `./demo` (or CISTERNA_DATA_DIR). It goes on serving when its output
is a terminal, unless SERVE=0. A second run uses the same servers and adds a project.
"""

import os
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.cli.beside import on_free_port, run_beside
from backend.cli.progress import lines
from backend.cli.quality import text
from backend.cli.stack import welcome
from backend.client import Cisterna, ClientError
from backend.client.jobs import LIVE
from backend.domain.states import QueryState, Schedule, Split
from backend.imaging.phantom import phantom
from backend.schemas.image import ImageView
from backend.schemas.model import NewTraining
from backend.schemas.project import NewProject, Training
from backend.schemas.query import QueryTileView
from backend.schemas.task import TaskView
from backend.settings import Settings
from bench.pictures import contact_sheet

EDGE, TILE, TOP = 512, 128, 10
SECONDS = 480
"""The whole demo, from its start to the last picture."""
AFTER_TRAINING = 110
"""Seconds kept for sweeping, measuring, ranking and drawing."""
SLUG = "demo-"
LEARNT = [("liver-01", Split.POOL, True)]
POOL = [(f"liver-pool-{n}", Split.POOL, False) for n in range(1, 5)]
VALIDATION = [(f"liver-validation-{n}", Split.VALIDATION, True) for n in range(1, 3)]
TEST = [(f"liver-test-{n}", Split.TEST, True) for n in range(1, 4)]
"""Name, split, annotated; the models learn from the first one alone."""


def main() -> int:
    """Run the demo; returns the exit status."""
    began = time.monotonic()
    data_dir = Path(os.environ.get("CISTERNA_DATA_DIR") or "demo").absolute()
    settings = Settings(data_dir=data_dir)
    if "CISTERNA_SLOTS" not in os.environ:  # images come in while the forest grows
        settings = settings.model_copy(update={"slots": 2})
    settings = on_free_port(settings)
    demo = Demo(settings, began)
    stay = sys.stdout.isatty() and os.environ.get("SERVE") != "0"
    return run_beside(settings, demo.run, demo.say, stay=stay)


@dataclass
class Demo:
    """One run against a stack that is up."""

    settings: Settings
    began: float
    images: dict[uuid.UUID, ImageView] = field(default_factory=dict)
    truths: dict[uuid.UUID, NDArray[np.uint8]] = field(default_factory=dict)

    def say(self, line: str = "") -> None:
        """Print a line with the time since the start."""
        elapsed = time.monotonic() - self.began
        print(f"{'demo':>8} | {elapsed:4.0f} s  {line}".rstrip(), flush=True)

    def run(self, service: Cisterna) -> None:
        """Run the loop once and show what came of it."""
        self.service = service
        self.on_job = lines(self.say)
        self.clear_the_way()
        self.project = self.create_project()
        self.upload([*LEARNT, *POOL, *VALIDATION])
        self.show_queue()
        forest = service.trainings.start(self.project, NewTraining(segmenter="forest"))
        service.jobs.wait(forest.id, self.on_job)
        nnunet = self.start_nnunet()
        service.jobs.wait_for_round(self.project, forest.id, self.on_job)
        self.annotate_one()
        self.upload(TEST)  # not before: the first model would measure itself on them
        version = service.jobs.wait_for_round(self.project, nnunet, self.on_job)
        self.report(version)

    def clear_the_way(self) -> None:
        """Cancel what an earlier demo that was stopped has left to do."""
        for project in self.service.projects.list():
            if project.slug.startswith(SLUG):
                for job in self.service.jobs.list(project.slug):
                    if job.state in LIVE:
                        self.service.jobs.cancel(job.id)

    def create_project(self) -> str:
        """Create the liver project; its ER has priority."""
        taken = {project.slug for project in self.service.projects.list()}
        slug = next(s for n in range(1, 1000) if (s := f"{SLUG}{n}") not in taken)
        body = NewProject(
            name="Human liver (synthetic)",
            slug=slug,
            preset="liver",
            tile_size=TILE,
            query_size=TOP,
            training=Training(profile="cpu", steps=100_000),
        )
        project = self.service.projects.create(body)
        labels = ", ".join(label.name for label in project.labels)
        self.say(f"project {slug}: {labels}")
        return slug

    def upload(self, plan: list[tuple[str, Split, bool]]) -> None:
        """Paint and upload images, then import the labels of the annotated."""
        added = []
        with tempfile.TemporaryDirectory(prefix="cisterna-demo-") as folder:
            for name, split, annotated in plan:
                made = phantom(len(self.images), EDGE, EDGE)
                file = Path(folder) / f"{name}.png"
                Image.fromarray(made.image).save(file)
                image = self.service.images.upload(
                    self.project, file, pixel_nm=made.pixel_nm, split=split
                )
                self.images[image.id], self.truths[image.id] = image, made.labels
                added.append((image, annotated))
        for image, annotated in added:
            self.service.images.wait(image.id)
            if annotated:
                labels = self.truths[image.id]
                self.service.images.import_labels(image.id, labels, complete_for="all")
            words = "with labels" if annotated else "unlabelled"
            self.say(f"image {image.name} is ready: {image.split}, {words}")

    def claim(self) -> TaskView:
        """Claim the next tile and say why it comes first."""
        claim = self.service.tasks.claim(self.project)
        if not claim.tasks:
            raise ClientError(f"No tile can be claimed: {claim.why_fewer}")
        task = claim.tasks[0]
        box, image = task.tile.box, self.images[task.tile.image_id]
        self.say(f"claimed tile {image.name} at {box.y}, {box.x}: {task.reason}")
        return task

    def show_queue(self) -> None:
        """Claim a tile before there is any model, and give it back."""
        self.service.tasks.release(self.claim().id)
        self.say("gave it back: a first model will know better")

    def start_nnunet(self) -> uuid.UUID:
        """Start nnU-Net with all the time that is left."""
        left = SECONDS - AFTER_TRAINING - (time.monotonic() - self.began)
        minutes = max(0.5, left / 60)
        self.say(f"nnU-Net gets {minutes:.1f} minutes on this machine's CPU")
        body = NewTraining(
            segmenter="nnunet",
            minutes=minutes,
            schedule=Schedule.FULL,
            stop_at_plateau=False,  # it may use all the time there is
        )
        return self.service.trainings.start(self.project, body).id

    def annotate_one(self) -> None:
        """Do what an annotator does: claim the next tile, draw, submit."""
        task = self.claim()
        box, truth = task.tile.box, self.truths[task.tile.image_id]
        mask = truth[box.y : box.y + box.h, box.x : box.x + box.w]
        self.service.tasks.submit(task.id, mask, active_seconds=1)
        self.say("submitted it from the ground truth; the next training learns from it")

    def report(self, version: uuid.UUID) -> None:
        """Print the figures and reasons, write the pictures, say where all is."""
        model = self.service.models.get(version)
        tested = f"nnU-Net, round {model.ordinal}, on three held-out images"
        self.say()
        self.say(f"{tested}, learnt from one annotated image:")
        for line in text(model.quality[Split.TEST]):
            self.say(f"  {line}")
        ranked = self.top_tiles()
        self.say()
        self.say("the tiles to annotate next, and why:")
        for row in ranked:
            box = row.tile.box
            name = self.images[row.tile.image_id].name
            self.say(f"  {row.rank:2}. {name} at {box.y}, {box.x}: {row.reason}")
        self.say()
        for file in self.draw(version, ranked):
            self.say(f"picture   {file}")
        for line in welcome(self.settings):
            self.say(line)

    def top_tiles(self) -> list[QueryTileView]:
        """Return the first tiles of the order that is served now."""
        queries = self.service.queries.list(self.project)
        live = next(query for query in queries if query.state is QueryState.LIVE)
        return [row for row in self.service.queries.ranks(live.id) if row.rank <= TOP]

    def draw(self, version: uuid.UUID, ranked: list[QueryTileView]) -> list[Path]:
        """Write overlay and uncertainty of a held-out image, and the ranked tiles."""
        folder = self.settings.data_dir / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        held_out = next(i.id for i in self.images.values() if i.split is Split.TEST)
        shown = next(
            row
            for row in self.service.predictions.of_model(version)
            if row.image_id == held_out
        )
        files = []
        for layer, name in (("overlay", "overlay"), ("entropy", "uncertainty")):
            files.append(folder / f"{self.project}-{name}.png")
            files[-1].write_bytes(self.service.predictions.picture(shown.id, layer))
        tiles = []
        for row in ranked:
            box, image = row.tile.box, row.tile.image_id
            grey = self.service.images.region(image, y=box.y, x=box.x, h=box.h, w=box.w)
            tiles.append(
                (grey, f"{row.rank}. {row.component.replace(':', ': ')}", row.reason)
            )
        files.append(folder / f"{self.project}-next-tiles.png")
        contact_sheet(tiles, files[-1])
        return files


if __name__ == "__main__":
    sys.exit(main())
