"""The forest's child process: learns from tiles, sweeps images."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from backend.domain.geometry import Box, TileGrid
from backend.domain.labels import BACKGROUND
from backend.domain.masks import never_ruled_out
from backend.domain.metrics import Counts, confusion, pooled
from backend.domain.operating import decide, plane_offsets
from backend.ranker.statistics import TileAccumulator
from worker.child import Emit, Stopped, serve, stop_requested
from worker.crops import CropFiles, unpack_crops, unpack_offsets
from worker.forest import ensemble, features, partial
from worker.segmenter import ImageData, Progress, SegmenterError, TrainingTile

_CHECKED = 16
"""A training looks at so many tiles in the end; the evaluation looks at all of them."""
_BAND_VALUES = 1 << 26
"""How many float32 of features and probabilities a band of rows may hold."""


def breathe() -> None:
    """Give way to a stop; nothing is saved, since all is done again in seconds."""
    if stop_requested():
        raise Stopped


def train(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Grow all members, monitor them, write the model folder."""
    began = time.monotonic()
    into = Path(request["into"])
    names: dict[int, str] = {int(v): n for v, n in request["labels"]}
    images = {image["id"]: _image(image) for image in request["images"]}
    tiles = [_tile(tile) for tile in request["tiles"]]
    validation = [_tile(tile) for tile in request["validation"]]
    working_nm: float | None = request["working_nm"]

    rasters = [_target(tile) for tile in tiles]
    _refuse_hopeless(tiles, rasters, names)
    values = tuple(names)
    lessons = partial.lessons(tiles, rasters, values)
    seeds = np.random.SeedSequence(request["seed"]).spawn(ensemble.MEMBERS)
    generators = [np.random.default_rng(seed) for seed in seeds]
    open_ = [place for place, lesson in enumerate(lessons) if lesson.is_open]
    rounds = 2 if open_ else 1
    checked = _spread(validation or tiles)
    steps = len(open_) + len(checked)
    steps += rounds * (len(tiles) + ensemble.MEMBERS)
    course = _Course(emit, steps)

    def seen(tile: TrainingTile) -> features.F4:
        breathe()
        return _features(tile, images, working_nm)

    targets = [partial.first_guess(lessons, rng) for rng in generators]
    members = _grown(tiles, targets, generators, seen, course)
    if open_:
        for place in open_:
            pixels = seen(tiles[place])
            # each for itself: where they disagree, nobody has said what is there
            for member, mine in zip(members, targets, strict=True):
                p = ensemble.answer(member, values, pixels)
                mine[place] = partial.settled(lessons[place], p, values)
            course.tell(f"Settled tile {place + 1}")
        members = _grown(tiles, targets, generators, seen, course)

    counts = []
    for position, tile in enumerate(checked):
        mean = ensemble.believe(members, values, seen(tile), breathe).mean
        complete = set(values) - tile.zero_may_be(values)
        found = confusion(_target(tile), _decide(mean, values), values, complete)
        counts.append(found)
        course.tell(f"Checked tile {position + 1}")
    metrics = _metrics(
        pooled(counts), names, "validation" if validation else "training"
    )
    emit(Progress("Trained", 1.0, steps, metrics))

    settings = {
        "segmenter": "forest",
        "values": list(names),
        "working_nm": working_nm,
        "seed": request["seed"],
        "members": ensemble.MEMBERS,
        "trees": ensemble.TREES,
        "pixels_per_class": ensemble.PIXELS_PER_CLASS,
        "sigmas": features.SIGMAS,
    }
    into.mkdir(parents=True, exist_ok=True)
    ensemble.save(members, into)
    (into / "forest.json").write_text(json.dumps(settings, indent=1))
    seconds = time.monotonic() - began
    return {"settings": settings, "metrics": {**metrics, "seconds": seconds}}


def predict(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Sweep one image band by band, so that its size costs time but no memory."""
    began = time.monotonic()
    folder, into = Path(request["model"]), Path(request["into"])
    image = _image(request["image"])
    settings = json.loads((folder / "forest.json").read_text())
    values = tuple(settings["values"])
    members = _members(folder, _written(folder))
    scale = features.scale_of(image, settings["working_nm"])
    pixels = np.load(image.path, mmap_mode="r", allow_pickle=False)
    height, width = pixels.shape

    into.mkdir(parents=True, exist_ok=True)
    size = (height, width)
    labels = open_memmap(into / "labels.npy", "w+", np.uint8, size)
    probabilities = open_memmap(
        into / "probabilities.npy", "w+", np.uint8, (len(values) + 1, *size)
    )
    entropy = open_memmap(into / "entropy.npy", "w+", np.float16, size)
    information = open_memmap(into / "information.npy", "w+", np.float16, size)

    channels = np.array((0, *values), np.uint8)
    offsets = plane_offsets(values, unpack_offsets(request["offsets"]))
    kept = CropFiles(unpack_crops(request["crops"]))
    grid = TileGrid(height, width, request["tile"])
    statistics = TileAccumulator(grid, values)
    texture = np.zeros((grid.rows, grid.columns, features.COUNT))
    starts = np.arange(0, width, grid.tile)
    per_pixel = features.COUNT + 8 * (len(values) + 1)
    for band in _bands(grid, _BAND_VALUES // (per_pixel * width)):
        breathe()
        seen = features.pixel_features(pixels, band, image.mean, image.sd, scale)
        belief = ensemble.believe(members, values, seen, breathe)
        rows = band.slices[0]
        decided = decide(belief.mean, offsets)
        labels[rows] = channels[decided]
        probabilities[:, rows] = np.rint(belief.mean * 255)
        entropy[rows], information[rows] = belief.entropy, belief.information
        statistics.add_rows(
            band.y,
            belief.mean,
            decided,
            belief.entropy,
            belief.information,
            belief.class_information,
        )
        kept.add_rows(band.y, belief.mean)
        sums = seen.sum(axis=0, dtype=np.float64)
        texture[band.y // grid.tile] += np.add.reduceat(sums, starts, axis=0)
        emit(Progress("Sweeping", (band.y + band.h) / height, band.y + band.h))
    for array in (labels, probabilities, entropy, information):
        array.flush()
    areas = np.array([box.area for box in grid])
    means = texture.reshape(len(grid), -1) / areas[:, None]
    statistics.finish(means.astype(np.float32)).save(into / "tiles.npz")
    return {"members": len(members), "seconds": time.monotonic() - began}


def load(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Keep a model's members ready for the next `predict`."""
    folder = Path(request["model"])
    _members(folder, _written(folder))
    return {}


def _bands(grid: TileGrid, rows: int) -> Iterator[Box]:
    """Yield boxes of full width and at most `rows` rows, none across two tile rows."""
    rows = max(rows, 1)
    for tile in range(0, grid.height, grid.tile):
        end = min(tile + grid.tile, grid.height)
        for y in range(tile, end, rows):
            yield Box(y, 0, min(rows, end - y), grid.width)


def _decide(mean: NDArray[np.float32], values: tuple[int, ...]) -> NDArray[np.uint8]:
    channels = np.array((0, *values), np.uint8)
    decided: NDArray[np.uint8] = channels[mean.argmax(axis=0)]
    return decided


@dataclass
class _Course:
    """Tells how far a training is, one of so many steps at a time."""

    emit: Emit
    steps: int
    done: int = 0

    def tell(self, message: str) -> None:
        self.done += 1
        self.emit(Progress(message, self.done / self.steps, self.done))


def _grown(
    tiles: Sequence[TrainingTile],
    targets: Sequence[list[partial.U1]],
    generators: Sequence[np.random.Generator],
    seen: Callable[[TrainingTile], features.F4],
    course: _Course,
) -> list[ExtraTreesClassifier]:
    """Grow a member from each list of rasters, one per tile; 255 is left out."""
    samples = [
        ensemble.draw_sample(mine, rng)
        for mine, rng in zip(targets, generators, strict=True)
    ]
    rows = [
        np.empty((len(sample.tile), features.COUNT), np.float32) for sample in samples
    ]
    for position, tile in enumerate(tiles):
        pixels = seen(tile).reshape(-1, features.COUNT)
        for sample, mine in zip(samples, rows, strict=True):
            here = sample.tile == position
            mine[here] = pixels[sample.pixel[here]]
        course.tell(f"Read tile {position + 1}")
    members = []
    for number, (rng, sample) in enumerate(zip(generators, samples, strict=True)):
        breathe()
        members.append(ensemble.grow(rows[number], sample, int(rng.integers(2**31))))
        course.tell(f"Grew forest {number + 1}")
    return members


def _spread(tiles: Sequence[TrainingTile]) -> list[TrainingTile]:
    """Return at most _CHECKED of the tiles, evenly spread over them."""
    count = min(len(tiles), _CHECKED)
    return [tiles[place * len(tiles) // count] for place in range(count)]


def _refuse_hopeless(
    tiles: Sequence[TrainingTile], rasters: Sequence[partial.U1], names: dict[int, str]
) -> None:
    values = tuple(names)
    revisions = (
        (raster, tile.zero_may_be(values))
        for tile, raster in zip(tiles, rasters, strict=True)
    )
    left = never_ruled_out(revisions, values)
    if not left:
        return
    if left == {BACKGROUND, *values}:
        text = "No annotated pixel to learn from: annotate at least one tile."
    else:
        only = names.get(min(left), "background")
        text = f"All annotated pixels are {only}: annotate a tile with a second class."
    raise SegmenterError(text, retryable=False)


def _metrics(
    counts: dict[int, Counts], names: dict[int, str], of: str
) -> dict[str, float | None]:
    return {f"{of}_dice/{name}": counts[value].dice for value, name in names.items()}


def _features(
    tile: TrainingTile, images: dict[str, ImageData], working_nm: float | None
) -> features.F4:
    image = images[tile.image_id]
    pixels = np.load(image.path, mmap_mode="r", allow_pickle=False)
    scale = features.scale_of(image, working_nm)
    return features.pixel_features(pixels, tile.box, image.mean, image.sd, scale)


def _target(tile: TrainingTile) -> NDArray[np.uint8]:
    target: NDArray[np.uint8] = np.load(tile.target, allow_pickle=False)
    return target


def _image(fields: dict[str, Any]) -> ImageData:
    return ImageData(**{**fields, "path": Path(fields["path"])})


def _tile(fields: dict[str, Any]) -> TrainingTile:
    complete = fields["complete_for"]
    return TrainingTile(
        annotation_id=fields["annotation_id"],
        image_id=fields["image_id"],
        box=Box(**fields["box"]),
        target=Path(fields["target"]),
        complete_for=None if complete is None else tuple(complete),
    )


def _written(folder: Path) -> int:
    return (folder / "members.joblib").stat().st_mtime_ns


@lru_cache(maxsize=1)
def _members(folder: Path, written: int) -> list[ExtraTreesClassifier]:
    """Keep the last model in memory: an image is rarely swept alone."""
    return ensemble.load(folder)


if __name__ == "__main__":
    serve({"train": train, "predict": predict, "load": load})
