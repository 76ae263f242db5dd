"""Take the pictures of the page in docs/images: every room, on synthetic liver.

Run `python docs/figures/page.py` (or `make pictures`) from the root of the repository.
It starts the whole stack, lets a forest learn in three rounds, has somebody submit a
tile for review, and looks at the rooms with Chromium.
"""

import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page

from backend.cli.beside import on_free_port, run_beside
from backend.client import Cisterna
from backend.domain.states import Role, Split
from backend.imaging.phantom import phantom
from backend.schemas.image import ImageView
from backend.schemas.model import NewTraining
from backend.schemas.project import NewProject
from backend.schemas.task import TaskView
from backend.settings import Settings
from bench.browser import State, chromium, sign_in, window, with_settings

U1 = NDArray[np.uint8]

TARGET = Path(__file__).parents[1] / "images"
SEED, SLUG, TILE = 40, "human-liver", 256
WINDOW = {"width": 1360, "height": 850}
IMAGES = (
    ("liver-01", Split.POOL, 3),
    ("liver-02", Split.POOL, 3),
    ("liver-03", Split.VALIDATION, 2),
    ("liver-04", Split.TEST, 3),
    ("liver-05", Split.NONE, 2),
)
"""Name, split, and edge in tiles; people see tiles of the second."""
ROUNDS = (1, 3, 9)
"""How many tiles of the first image each round has learnt from."""


def main() -> int:
    """Set everything up and take the pictures; returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="cisterna-pictures-") as folder:
        settings = on_free_port(Settings(data_dir=Path(folder)))

        def work(service: Cisterna) -> None:
            with chromium() as browser:
                Pictures(service, browser).take()

        return run_beside(settings, work, say)


def say(line: str) -> None:
    """Tell how it goes."""
    sys.stderr.write(f"{line}\n")


@dataclass
class Pictures:
    """One project, and the browser that looks at it."""

    service: Cisterna
    browser: Browser
    images: dict[uuid.UUID, ImageView] = field(default_factory=dict)
    truths: dict[uuid.UUID, U1] = field(default_factory=dict)

    def take(self) -> None:
        """Fill the project and look at its rooms."""
        self.url = self.service.url
        self.fill()
        state = sign_in(self.browser, self.service, self.url)
        with self.looking(state, "dashboard", "overview") as page:
            page.get_by_role("heading", name="Learning curve").wait_for()
        with self.looking(state, "models", "models") as page:
            page.get_by_text("Dice on this tile").nth(1).wait_for()
            page.get_by_role("heading", name="Round 3").scroll_into_view_if_needed()
            page.evaluate("document.querySelector('#round').scrollIntoView()")
        self.send_for_review()
        with self.looking(state, "review", "review") as page:
            page.get_by_label("pre-label", exact=True).check()
            page.get_by_label("Only the difference").check()
            page.get_by_label("Comment", exact=True).fill(
                "Please look at the ER again."
            )
            page.locator(".pins").click(position={"x": 220, "y": 180})
            page.get_by_label("Comment at").fill("ER goes on here")
        self.begin_a_tile()
        with self.looking(state, "annotator", "annotate") as page:
            self.hover(page)
        with self.looking(state, "uncertainty", "annotate") as page:
            page.keyboard.press("u")
            self.hover(page)

    def fill(self) -> None:
        """Upload the images and let the forest learn, round by round."""
        body = NewProject(
            name="Human liver",
            slug=SLUG,
            preset="liver",
            tile_size=TILE,
            segmenter="forest",
            review=True,
        )
        self.service.projects.create(body)
        for seed, (name, split, tiles) in enumerate(IMAGES):
            made = phantom(SEED + seed, tiles * TILE, tiles * TILE)
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / f"{name}.png"
                Image.fromarray(made.image).save(file, compress_level=1)
                image = self.service.images.upload(
                    SLUG, file, name=name, pixel_nm=made.pixel_nm, split=split
                )
            self.service.images.wait(image.id)
            self.images[image.id], self.truths[image.id] = image, made.labels
            if split in {Split.VALIDATION, Split.TEST}:
                self.service.images.import_labels(
                    image.id, made.labels, complete_for="all"
                )
        first = next(i for i in self.images.values() if i.name == "liver-01")
        known = 0
        for tiles in ROUNDS:
            for number in range(known, tiles):
                y, x = (TILE * at for at in divmod(number, IMAGES[0][2]))
                part = self.truths[first.id][y : y + TILE, x : x + TILE]
                self.service.images.import_labels(
                    first.id, part, complete_for="all", y=y, x=x
                )
            known = tiles
            job = self.service.trainings.start(SLUG, NewTraining(segmenter="forest"))
            self.service.jobs.wait_for_round(SLUG, job.id)

    def send_for_review(self) -> None:
        """Have somebody else submit a tile, with some of the ER forgotten."""
        link = self.service.projects.invite(SLUG, Role.ANNOTATOR).link
        with window(self.browser, {}, viewport=WINDOW) as page:
            page.goto(f"{self.url}/#{link.partition('#')[2]}")
            page.get_by_label("Your name").fill("Ann")
            page.get_by_role("button", name="Join").click()
            page.get_by_role("heading", name="Projects").wait_for()
            secret = page.evaluate(
                """async () => {
                    const answer = await fetch("/api/v1/tokens", {
                        method: "POST",
                        headers: { "Content-Type": "application/json" },
                        body: JSON.stringify({ name: "pictures" }),
                    });
                    return (await answer.json()).secret;
                }"""
            )
        with Cisterna(self.url, secret) as ann:
            task = with_prelabel(ann)
            mask = self.truth(task).copy()
            ring = np.hypot(*(np.indices(mask.shape) - TILE * 0.4)) < TILE * 0.2
            mask[ring & (mask == 4)] = 0
            ann.tasks.submit(
                task.id, mask, active_seconds=214, prediction=task.prediction_id
            )

    def begin_a_tile(self) -> None:
        """Leave a tile half painted: the left by hand, the right as suggested."""
        task = with_prelabel(self.service, self.has_little_nucleus)
        assert task.prediction_id is not None
        box = task.tile.box
        where = {"y": box.y, "x": box.x, "h": box.h, "w": box.w}
        mask = self.service.predictions.raster(task.prediction_id, "labels", **where)
        half = np.indices(mask.shape).sum(0) < TILE
        mask = np.where(half, self.truth(task), mask).astype(np.uint8)
        self.service.tasks.save_draft(task.id, mask, (1, 2, 3, 4, 5), 95)

    def has_little_nucleus(self, task: TaskView) -> bool:
        """Whether a tile shows something of the other organelles."""
        return bool(np.mean(self.truth(task) == 1) < 0.2)

    def truth(self, task: TaskView) -> U1:
        """Return what the tile's mask ought to be."""
        box = task.tile.box
        truth = self.truths[task.tile.image_id]
        return truth[box.y : box.y + box.h, box.x : box.x + box.w]

    @contextmanager
    def looking(self, state: State, name: str, room: str) -> Iterator[Page]:
        """Open a room, let it be arranged, and take its picture."""
        settings = {
            "brush": {"size": 12, "square": False},
            "overlay": {"mode": "contour" if name == "uncertainty" else "both"},
            "folded": {"prelabel": room != "annotate", "protect": True, "tile": False},
        }
        kept = with_settings(state, self.url, settings)
        with window(self.browser, kept, viewport=WINDOW) as page:
            page.goto(f"{self.url}/projects/{SLUG}/{room}")
            if room == "annotate":
                page.evaluate("probe.tile(1)")
            page.wait_for_load_state("networkidle")
            yield page
            page.wait_for_timeout(1500)  # what moves comes to rest
            page.screenshot(path=TARGET / f"{name}.png")

    def hover(self, page: Page) -> None:
        """Choose the ER and hold the brush over the tile."""
        page.keyboard.press("4")
        box = page.locator(".stage").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 0.56 * box["width"], box["y"] + 0.4 * box["height"])


def with_prelabel(
    service: Cisterna, pleases: Callable[[TaskView], bool] = lambda _: True
) -> TaskView:
    """Claim tiles until one comes with a suggestion and pleases."""
    while True:
        task = service.tasks.claim(SLUG).tasks[0]
        # some come without a suggestion on purpose
        if task.prediction_id and pleases(task):
            return task
        service.tasks.skip(task.id, "another one")


if __name__ == "__main__":
    sys.exit(main())
