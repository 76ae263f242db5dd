"""The page in Chromium: how fast it paints, opens and sends, and what it weighs.

    python -m bench.page        (or `make bench-page`)

The whole stack runs beside it on this machine, and the browser draws with the processor
alone. The pointer is a real one to the page: its events come through the browser. The
brush stands beside the usual one (`page_peer.html`): arcs on a canvas, and the labels
read back from its pixels.
"""

import argparse
import gzip
import io
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page

from backend.api.page import UI
from backend.cli.beside import on_free_port, run_beside
from backend.client import Cisterna
from backend.domain.states import Split
from backend.imaging.phantom import phantom
from backend.schemas.model import NewTraining
from backend.schemas.project import NewProject
from backend.settings import Settings
from bench import peers
from bench.browser import State, chromium, sign_in, window, with_settings
from bench.hand import SEED, SEEN, U1, Hand, Meter, Record, spread

PARTS = ("brush-1024", "brush-2048", "long", "opening", "bundle", "bytes")
TARGETS = {
    "dab_ms_1024": 4.0,
    "dab_ms_2048": 16.0,
    "step_growth": 1.2,
    "cpu_growth": 1.2,
    "memory_growth_mib": 64.0,
    "first_tile_ms": 1500.0,
    "next_tile_ms": 300.0,
    "bundle_kb": 120.0,
    "bytes_differ": 0,
}
"""None may be exceeded. Growth is of a stroke's median time, of the processor's time
per stroke, and of memory, where what can be undone may take 64 MiB."""
MINUTES = 10.0
MARGIN = 16
"""CSS pixels between the stage's corner and the tile's."""
PEER = Path(__file__).with_name("page_peer.html")


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything is done; the tests do little of it."""

    strokes: int = 120
    minutes: float = MINUTES
    openings: int = 7
    submissions: int = 6
    loop_tile: int = 512
    shrunk: int = 1
    """Tiles and brushes to paint with are so many times smaller."""


def main() -> int:
    """Measure and write the result; returns the exit status."""
    asked = arguments()
    parts = peers.only(PARTS, asked.parts)
    size = Size(minutes=asked.minutes)
    with tempfile.TemporaryDirectory(prefix="cisterna-bench-") as folder:
        settings = on_free_port(Settings(data_dir=Path(folder)))

        def work(service: Cisterna) -> None:
            with chromium() as browser:
                bench = Bench(browser, service, size)
                found = peers.earlier("page", asked.out)
                for part in parts:
                    facts = peers.facts(SEED)
                    facts["machine"]["browser"] = f"Chromium {browser.version}"
                    record = bench.run(part)
                    found[part] = record | facts
                    peers.publish("page", summary(found), asked.out)

        return run_beside(settings, work, lambda line: print(line, file=sys.stderr))


def arguments() -> argparse.Namespace:
    """Return the command line's wishes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="all by default")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of painting")
    parser.add_argument("--out", type=Path, default=peers.RESULTS)
    return parser.parse_args()


def summary(parts: Mapping[str, Any]) -> Record:
    """Return the figures that have targets, beside them."""

    def of(part: str, *keys: str) -> Any:
        found = parts.get(part)
        for key in keys:
            found = None if found is None else found[key]
        return found

    figures = {
        "dab_ms_1024": of("brush-1024", "ours", "dab_ms", "p95"),
        "dab_ms_2048": of("brush-2048", "ours", "dab_ms", "p95"),
        "step_growth": of("long", "step_growth"),
        "cpu_growth": of("long", "cpu_growth"),
        "memory_growth_mib": of("long", "memory_growth_mib"),
        "first_tile_ms": of("opening", "first_tile_ms", "cold", "max"),
        "next_tile_ms": of("opening", "next_tile_ms", "max"),
        "bundle_kb": of("bundle", "annotator_kb"),
        "bytes_differ": of("bytes", "differ"),
    }
    reached = {
        key: figures[key] is not None and figures[key] <= target
        for key, target in TARGETS.items()
    }
    return {
        "ratio": {edge: of(f"brush-{edge}", "ratio") for edge in ("1024", "2048")},
        "of": "p95 of the usual brush, read back from its canvas, against ours",
        **figures,
        "targets": TARGETS,
        "reached_each": reached,
        "reached": all(reached.values()),
        "parts": {part: parts[part] for part in PARTS if part in parts},
    }


@dataclass
class Bench:
    """A browser, a service, and the projects that were made on it."""

    browser: Browser
    service: Cisterna
    size: Size
    state: State = field(init=False)
    loop: str = ""

    def __post_init__(self) -> None:
        self.url = self.service.url
        self.state = sign_in(self.browser, self.service, self.url)

    def run(self, part: str) -> Record:
        """Measure one part."""
        by = self.size.shrunk
        measure: Mapping[str, Callable[[], Record]] = {
            "brush-1024": lambda: self.brush(1024 // by, 64 // by),
            "brush-2048": lambda: self.brush(2048 // by, 256 // by),
            "long": lambda: self.long(1024 // by, 64 // by),
            "opening": self.opening,
            "bundle": self.bundle,
            "bytes": self.same_bytes,
        }
        return measure[part]()

    def brush(self, edge: int, size: int) -> Record:
        """Paint on a tile of `edge`² with a brush of `size` pixels, ours and theirs."""
        with self.painting(edge, size) as hand:
            hand.warm_up()
            ours = hand.paint(self.size.strokes)
            differ = int((self.saved(hand.page) != hand.expected(size)).sum())
        if differ:
            raise RuntimeError(f"{differ} pixels are not what was painted")
        with window(self.browser, {}) as page:
            page.goto(PEER.as_uri())
            scale = SEEN / edge
            page.evaluate(f"setUp({edge}, {size}, {scale})")
            hand = Hand(page, edge, (0, 0), (0, 0, scale), (1, 2, 3, 4, 5))
            hand.warm_up()
            peer = hand.paint(self.size.strokes)
        return {
            "tile": edge,
            "brush": size,
            "ours": ours,
            "peer": {"page": PEER.name, **peer},
            "ratio": round(peer["dab_ms"]["p95"] / max(0.1, ours["dab_ms"]["p95"]), 1),
            "clock_ms": 0.1,
        }

    def long(self, edge: int, size: int) -> Record:
        """Paint for minutes; compare the last one with the first."""
        samples = []
        with self.painting(edge, size) as hand:
            hand.warm_up()
            meter = Meter(hand.page)
            span = min(60.0, 60 * self.size.minutes / 2)
            for _ in range(max(2, round(60 * self.size.minutes / span))):
                ends = time.monotonic() + span
                record = meter.over(lambda: hand.paint_until(ends))  # noqa: B023
                samples.append(record)
        first, last = samples[0], samples[-1]
        return {
            "tile": edge,
            "brush": size,
            "minutes": self.size.minutes,
            "steps": sum(each["steps"] for each in samples),
            "step_growth": round(last["step_ms"]["p50"] / first["step_ms"]["p50"], 2),
            "cpu_growth": round(last["cpu_ms_per_step"] / first["cpu_ms_per_step"], 2),
            "memory_growth_mib": round(last["memory_mib"] - first["memory_mib"], 1),
            "seconds_per_sample": span,
            "samples": samples,
        }

    def opening(self) -> Record:
        """Open the annotator and go from tile to tile, on predicted images."""
        slug = self.loop_project()
        address = f"{self.url}/projects/{slug}/annotate"
        state = with_settings(self.state, self.url, {})
        waits: dict[str, list[float]] = {"cold": [], "warm": []}
        for _ in range(self.size.openings):
            with window(self.browser, state) as page:
                for kept in waits.values():
                    page.goto(address)
                    kept.append(page.evaluate("probe.tile(1)"))
                    page.wait_for_load_state("networkidle")
        nexts = []
        with window(self.browser, state) as page:
            page.goto(address)
            page.evaluate("probe.tile(1)")
            for number in range(2, self.size.submissions + 2):
                # who paints leaves time for the next tile to come
                page.wait_for_timeout(2500)
                self.dot(page)
                page.keyboard.press("Control+Enter")
                page.get_by_role("button", name="Submit anyway").click()
                drawn = page.evaluate(f"probe.tile({number})")
                nexts.append(drawn - page.evaluate("probe.pressed"))
        return {
            "tile": self.size.loop_tile,
            "from": "navigation to the frame that shows the tile; "
            "click on Submit to the frame that shows the next",
            "first_tile_ms": {name: spread(each) for name, each in waits.items()},
            "next_tile_ms": spread(nexts),
        }

    def bundle(self) -> Record:
        """Weigh what the annotator asks for, and all files of the page."""
        slug = self.loop_project()
        asked: set[str] = set()
        with window(self.browser, with_settings(self.state, self.url, {})) as page:
            page.on("request", lambda request: asked.add(request.url))
            page.goto(f"{self.url}/projects/{slug}/annotate")
            page.evaluate("probe.tile(1)")
            page.wait_for_load_state("networkidle")
        files = [f for f in UI.rglob("*") if f.is_file() and f.suffix in SERVED]
        loaded = [f for f in files if any(url.endswith(f.name) for url in asked)]
        loaded.append(UI / "index.html")
        return {
            "annotator_kb": packed(loaded),
            "whole_kb": packed(files),
            "files": {f.name: packed([f]) for f in sorted(set(loaded))},
            "unit": "1000 bytes, gzipped file by file",
        }

    def same_bytes(self) -> Record:
        """Paint a tile, submit it, export the project; compare every pixel."""
        size = 9
        slug = self.project("bytes", 128, 128)
        with self.painting(128, size, slug) as hand:
            hand.paint(12)
            page = hand.page
            page.keyboard.press("Control+Enter")
            page.get_by_role("button", name="Submit anyway").click()
            page.get_by_role("heading", name="No tile for now").wait_for()
        job = self.service.jobs.wait(self.service.exports.start(slug).id)
        file = io.BytesIO()
        with tempfile.TemporaryDirectory() as folder:
            into = Path(folder) / "export.zip"
            self.service.exports.download(job.id, into)
            file.write(into.read_bytes())
        painted = hand.expected(size)
        with zipfile.ZipFile(file) as archive:
            names = [n for n in archive.namelist() if "/labelsTr/" in f"/{n}"]
            with archive.open(names[0]) as source:
                exported = np.asarray(Image.open(source))
        return {
            "painted_pixels": int((painted > 0).sum()),
            "differ": int((painted != exported).sum()),
            "file": names[0],
        }

    # --- what the parts stand on ---

    @contextmanager
    def painting(self, edge: int, size: int, slug: str = "") -> Iterator[Hand]:
        """Open a tile of `edge`² in a window, with a brush of `size` pixels."""
        if not slug:
            slug = self.project(f"paint-{edge}", edge, 2 * edge)
        labels = self.service.projects.get(slug).labels
        scale = SEEN / edge
        view = -MARGIN / scale, -MARGIN / scale, scale
        state = with_settings(
            self.state, self.url, {"brush": {"size": size, "square": False}}
        )
        with window(self.browser, state) as page:
            place = ",".join(map(str, view))
            page.goto(f"{self.url}/projects/{slug}/annotate?view={place}")
            page.evaluate("probe.tile(1)")
            box = page.locator(".stage").bounding_box()
            assert box is not None
            corner = box["x"], box["y"]
            yield Hand(page, edge, corner, view, [label.value for label in labels])

    def saved(self, page: Page) -> U1:
        """Save and return the labels as the server has them."""
        page.keyboard.press("Control+s")
        page.get_by_role("status").filter(has_text="Saved").wait_for()
        task = page.evaluate("new URL(location.href).searchParams.get('tile')")
        draft = self.service.tasks.draft(uuid.UUID(task))
        assert draft is not None
        return draft

    def dot(self, page: Page) -> None:
        """Paint a stroke in the middle of the stage."""
        box = page.locator(".stage").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 30, y + 20)
        page.mouse.up()

    def project(self, name: str, tile: int, edge: int) -> str:
        """Make a project with one image of `edge`²; returns its slug."""
        slug = f"{name}-{uuid.uuid4().hex[:6]}"
        body = NewProject(
            name=name, slug=slug, preset="liver", tile_size=tile, segmenter="forest"
        )
        self.service.projects.create(body)
        self.image(slug, tissue(SEED, edge)[0], Split.POOL)
        return slug

    def image(self, slug: str, grey: U1, split: Split) -> uuid.UUID:
        """Upload an image and wait until it is ready."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{split}-{uuid.uuid4().hex[:4]}.png"
            Image.fromarray(grey).save(file, compress_level=1)
            made = self.service.images.upload(slug, file, pixel_nm=4.0, split=split)
        return self.service.images.wait(made.id).id

    def loop_project(self) -> str:
        """Make, once, a project whose forest has predicted the tiles that wait."""
        if not self.loop:
            tile = self.size.loop_tile
            self.loop = self.project("loop", tile, 3 * tile)
            for seed, split in ((1, Split.POOL), (2, Split.VALIDATION)):
                grey, labels = tissue(SEED + seed, tile)
                image = self.image(self.loop, grey, split)
                self.service.images.import_labels(image, labels, complete_for="all")
            training = NewTraining(segmenter="forest")
            job = self.service.trainings.start(self.loop, training)
            self.service.jobs.wait_for_round(self.loop, job.id)
        return self.loop


def tissue(seed: int, edge: int) -> tuple[U1, U1]:
    """Return synthetic liver and its labels; a large one is a small one mirrored."""
    small = min(edge, 512)
    made = phantom(seed, small, small)
    more = [(0, edge - small)] * 2
    grey = np.pad(made.image, more, mode="symmetric")
    return grey, np.pad(made.labels, more, mode="symmetric")


SERVED = frozenset({".html", ".js", ".css", ".svg", ".png", ".woff2"})


def packed(files: Sequence[Path]) -> float:
    """Return the size of files when each is gzipped, in units of 1000 bytes."""
    total = sum(len(gzip.compress(f.read_bytes(), mtime=0)) for f in set(files))
    return round(total / 1000, 1)


if __name__ == "__main__":
    sys.exit(main())
