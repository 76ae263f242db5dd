"""What both sides of a bench look at: large images, and models of our own engine.

What takes long is made once and kept in `data/bench`.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.domain.geometry import TileGrid
from backend.domain.labels import BACKGROUND, UNKNOWN, Label, LabelSchema
from backend.domain.states import Split
from bench.places import PIXEL_NM, ROOT, SPLITS
from worker.nnunet.segmenter import NNUNetSegmenter
from worker.segmenter import Budget, ImageData, Progress, TrainingData, TrainingTile

U1 = NDArray[np.uint8]

SCHEMA = LabelSchema(
    (Label(2, "mitochondria", "#EE6677", 1.5), Label(5, "membrane", "#AA3377"))
)
"""What is labelled in the nerve cord."""
HOME = ROOT / "data/bench"
STEPS = 800
LEARNT_TILE = 512
"""Edge of the tiles that the model of the nerve cord learns: it may see all of them."""


class Quiet:
    """A report that prints a line at each tenth of the way."""

    def __init__(self) -> None:
        self._told = -1

    def __call__(self, progress: Progress) -> None:
        tenth = int(10 * (progress.fraction or 0))
        if tenth != self._told:
            self._told = tenth
            print(f"{'bench':>8} | {progress.message}", file=sys.stderr, flush=True)

    def check(self) -> None:
        """Nobody stops a bench but Ctrl-C."""


def section(source: Path, number: int) -> tuple[U1, U1]:
    """Return a section's grey values and its label values; 255 is unknown."""
    name = f"stack1_{number:02}.png"
    grey, truth = (
        np.array(Image.open(source / d / name)) for d in ("images", "labels")
    )
    return grey, truth


def mosaic(sections: Sequence[U1], edge: int) -> U1:
    """Return (edge, edge) made of sections; each meets its mirrored neighbours.

    Row r, column c shows section r + c, upside down in odd rows and left to right in
    odd columns, so that no seam is sharper than two neighbouring sections are unlike.
    """
    size = len(sections[0])
    whole = np.empty((edge, edge), np.uint8)
    for row in range(-(-edge // size)):
        for column in range(-(-edge // size)):
            piece = sections[(row + column) % len(sections)]
            piece = piece[:: -1 if row % 2 else 1, :: -1 if column % 2 else 1]
            place = whole[row * size :, column * size :][:size, :size]
            place[:] = piece[: place.shape[0], : place.shape[1]]
    return whole


def stored(pixels: U1, name: str, folder: Path) -> ImageData:
    """Write an image as the worker finds it: a .npy file, its mean and deviation."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.npy"
    np.save(path, pixels)
    counts = sum(np.bincount(row, minlength=256) for row in pixels)
    values = np.arange(256)
    mean = float(np.average(values, weights=counts))
    variance = float(np.average((values - mean) ** 2, weights=counts))
    return ImageData(name, path, mean, variance**0.5, PIXEL_NM)


def examples(
    pairs: Sequence[tuple[U1, U1]], schema: LabelSchema, tile: int, folder: Path
) -> TrainingData:
    """Return all tiles of whole images to learn from, none to monitor.

    `pairs` are grey values and label values, (height, width) uint8 each.
    """
    images, tiles = {}, []
    for number, (pixels, truth) in enumerate(pairs):
        image = images[str(number)] = stored(pixels, str(number), folder)
        grid = TileGrid(pixels.shape[0], pixels.shape[1], tile)
        for row, column in np.ndindex(grid.rows, grid.columns):
            box = grid.box(row, column)
            target = folder / f"{number}-{box.y}-{box.x}.npy"
            np.save(target, truth[box.slices])
            tiles.append(TrainingTile(target.stem, image.id, box, target))
    return TrainingData(schema, images, tuple(tiles), (), PIXEL_NM, seed=0)


def learn(data: TrainingData, steps: int, home: Path) -> Path:
    """Train a model of the profile `cpu`, once; returns its folder."""
    into = home / "model"
    if not (home / "ready").exists():
        segmenter = NNUNetSegmenter("cpu", home / "scratch")
        segmenter.train(data, into, None, Budget(steps), Quiet())
        segmenter.close()
        (home / "ready").touch()
    return into


def vnc_model(source: Path) -> Path:
    """Return a model that learnt the twelve sections of the pool."""
    home = HOME / "vnc"
    pairs = [section(source, number) for number in SPLITS[Split.POOL]]
    return learn(examples(pairs, SCHEMA, LEARNT_TILE, home / "examples"), STEPS, home)


def untaught_model(labels: int, home: Path) -> Path:
    """Return a model of one step on noise: memory does not depend on the weights."""
    home = home / f"untaught-{labels}"
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (256, 256), np.uint8)
    truth = random.integers(0, labels + 1, (256, 256), np.uint8)
    named = (Label(n, f"label {n}", "#228833") for n in range(1, labels + 1))
    schema = LabelSchema(tuple(named))
    return learn(examples([(noise, truth)], schema, 128, home / "examples"), 1, home)


def decoded(numbers: U1, schema: LabelSchema) -> U1:
    """Turn nnU-Net's numbers 0..C into label values."""
    found: U1 = np.array([BACKGROUND, *schema.values], np.uint8)[numbers]
    return found


def dice(
    said: Sequence[U1], true: Sequence[U1], schema: LabelSchema
) -> dict[str, float]:
    """Return the Dice per label, pixels of all images pooled, unknown left out."""
    found = {}
    for label in schema.labels:
        both = areas = 0
        for answer, truth in zip(said, true, strict=True):
            here, there = (a[truth != UNKNOWN] == label.value for a in (answer, truth))
            both += int((here & there).sum())
            areas += int(here.sum() + there.sum())
        found[label.name] = 2 * both / areas if areas else float("nan")
    return found
