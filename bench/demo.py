"""The demo: the whole loop on synthetic liver images, from one annotated image.

    python -m bench.demo        (or `make demo`)

Everything runs in `./demo` (or CISTERNA_DATA_DIR). It goes on serving when its output
is a terminal, unless SERVE=0. A second run uses the same servers and adds a project.
"""

import os
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from backend.cli.progress import lines
from backend.cli.quality import text
from backend.cli.stack import check_port, is_free, local_url, stack, welcome
from backend.client import Cisterna, ClientError
from backend.client.jobs import LIVE
from backend.domain.errors import DomainError
from backend.domain.states import QueryState, Split
from backend.embedded import Supervisor
from backend.imaging.phantom import Phantom, phantom
from backend.schemas.image import ImageView
from backend.schemas.model import NewTraining
from backend.schemas.project import NewProject, Training
from backend.schemas.query import QueryTileView
from backend.settings import Settings
from bench.pictures import contact_sheet

EDGE, TILE, TOP = 512, 128, 10
SECONDS = 480
"""The whole demo, from its start to the last picture."""
AFTER_TRAINING = 110
"""Seconds kept for sweeping, measuring, ranking and drawing."""
BUSY_DEMO = "demo-"
PLAN = (
    # name, split, annotated; the first one is all the model learns from
    ("liver-01", Split.POOL, True),
    *((f"liver-pool-{n}", Split.POOL, False) for n in range(1, 5)),
    *((f"liver-validation-{n}", Split.VALIDATION, True) for n in range(1, 3)),
    *((f"liver-test-{n}", Split.TEST, True) for n in range(1, 4)),
)


def main() -> int:
    """Run the demo; returns the exit status."""
    stay = sys.stdout.isatty() and os.environ.get("SERVE") != "0"
    settings = _settings()
    settings, processes = stack(settings)
    supervisor = Supervisor(settings.data_dir, processes)
    demo = Demo(settings, time.monotonic())
    failures: list[str] = []

    def work() -> None:
        try:
            demo.run()
        except (ClientError, DomainError, OSError) as error:
            failures.append(str(error))
            demo.say(f"stopped: {error}")
        if failures or not stay:
            supervisor.finish()
        else:
            demo.say("serving; Ctrl-C stops everything")

    thread = threading.Thread(target=work, name="demo", daemon=True)
    supervisor.run(thread.start)
    return 1 if failures else 0


def _settings() -> Settings:
    data_dir = Path(os.environ.get("CISTERNA_DATA_DIR") or "demo").absolute()
    settings = Settings(data_dir=data_dir)
    if "CISTERNA_PORT" not in os.environ:
        ports = range(settings.port, settings.port + 100)
        port = next((p for p in ports if is_free(settings.host, p)), settings.port)
        settings = settings.model_copy(update={"port": port})
    check_port(settings)
    return settings


@dataclass
class Demo:
    """One run against a stack that is up."""

    settings: Settings
    began: float

    def say(self, line: str = "") -> None:
        """Print a line with the time since the start."""
        elapsed = time.monotonic() - self.began
        print(f"{'demo':>8} | {elapsed:4.0f} s  {line}".rstrip(), flush=True)

    def run(self) -> None:
        """Run the loop once and show what came of it."""
        token = self.settings.admin_token_file.read_text().strip()
        with Cisterna(local_url(self.settings), token) as service:
            self.service = service
            self.on_job = lines(self.say)
            self.clear_the_way()
            self.project = self.create_project()
            images, truths = self.upload()
            first = self.train_forest()
            nnunet = self.start_nnunet()
            service.jobs.wait_for_round(self.project, first, self.on_job)
            self.annotate_one(images, truths)
            version = service.jobs.wait_for_round(self.project, nnunet, self.on_job)
            self.report(version, images)

    def clear_the_way(self) -> None:
        """Cancel what an earlier demo that was stopped has left to do."""
        for project in self.service.projects.list():
            if project.slug.startswith(BUSY_DEMO):
                for job in self.service.jobs.list(project.slug):
                    if job.state in LIVE:
                        self.service.jobs.cancel(job.id)

    def create_project(self) -> str:
        """Create the liver project; its ER has priority."""
        taken = {project.slug for project in self.service.projects.list()}
        slug = next(s for n in range(1, 1000) if (s := f"{BUSY_DEMO}{n}") not in taken)
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

    def upload(self) -> tuple[dict[uuid.UUID, ImageView], dict[uuid.UUID, Phantom]]:
        """Paint and upload all images, then import the labels of the annotated."""
        images, truths = {}, {}
        with tempfile.TemporaryDirectory(prefix="cisterna-demo-") as folder:
            for seed, (name, split, _) in enumerate(PLAN):
                made = phantom(seed, EDGE, EDGE)
                file = Path(folder) / f"{name}.png"
                Image.fromarray(made.image).save(file)
                image = self.service.images.upload(
                    self.project, file, pixel_nm=made.pixel_nm, split=split
                )
                images[image.id], truths[image.id] = image, made
        for (name, split, annotated), id in zip(PLAN, images, strict=True):
            self.service.images.wait(id)
            if annotated:
                labels = truths[id].labels
                self.service.images.import_labels(id, labels, complete_for="all")
            words = "with labels" if annotated else "unlabelled"
            self.say(f"image {name} is ready, split {split}, {words}")
        return images, truths

    def train_forest(self) -> uuid.UUID:
        """Train the pixel classifier: first predictions within a minute."""
        body = NewTraining(segmenter="forest")
        job = self.service.trainings.start(self.project, body)
        self.service.jobs.wait(job.id, self.on_job)
        return job.id

    def start_nnunet(self) -> uuid.UUID:
        """Start nnU-Net with all the time that is left."""
        left = SECONDS - AFTER_TRAINING - (time.monotonic() - self.began)
        minutes = max(0.5, left / 60)
        self.say(f"nnU-Net gets {minutes:.1f} minutes on this machine's CPU")
        body = NewTraining(segmenter="nnunet", minutes=minutes)
        return self.service.trainings.start(self.project, body).id

    def annotate_one(
        self, images: dict[uuid.UUID, ImageView], truths: dict[uuid.UUID, Phantom]
    ) -> None:
        """Do what an annotator does: claim the next tile, draw, submit."""
        claim = self.service.tasks.claim(self.project)
        if not claim.tasks:
            raise ClientError(f"No tile can be claimed: {claim.why_fewer}")
        task = claim.tasks[0]
        box, image = task.tile.box, task.tile.image_id
        self.say(f"claimed tile {images[image].name} at {box.y}, {box.x}:")
        self.say(f"  {task.reason}")
        mask = truths[image].labels[box.y : box.y + box.h, box.x : box.x + box.w]
        self.service.tasks.submit(task.id, mask, active_seconds=1)
        self.say("submitted it from the ground truth; the next training learns from it")

    def report(self, version: uuid.UUID, images: dict[uuid.UUID, ImageView]) -> None:
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
            name = images[row.tile.image_id].name
            self.say(f"  {row.rank:2}. {name} at {box.y}, {box.x}: {row.reason}")
        self.say()
        for file in self.draw(version, images, ranked):
            self.say(f"picture   {file}")
        for line in welcome(self.settings):
            self.say(line)

    def top_tiles(self) -> list[QueryTileView]:
        """Return the first tiles of the order that is served now."""
        queries = self.service.queries.list(self.project)
        live = next(query for query in queries if query.state is QueryState.LIVE)
        return [row for row in self.service.queries.ranks(live.id) if row.rank <= TOP]

    def draw(
        self,
        version: uuid.UUID,
        images: dict[uuid.UUID, ImageView],
        ranked: list[QueryTileView],
    ) -> list[Path]:
        """Write overlay and uncertainty of a held-out image, and the ranked tiles."""
        folder = self.settings.data_dir / "pictures"
        folder.mkdir(parents=True, exist_ok=True)
        held_out = next(i.id for i in images.values() if i.split is Split.TEST)
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
            tiles.append((grey, f"{row.rank}. {row.component}", row.reason))
        files.append(folder / f"{self.project}-next-tiles.png")
        contact_sheet(tiles, files[-1])
        return files


if __name__ == "__main__":
    sys.exit(main())
