"""Growing a forest from annotated tiles."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.domain.labels import BACKGROUND
from backend.domain.masks import never_ruled_out
from backend.domain.metrics import Counts, confusion, pooled
from worker.forest import context, ensemble, features, partial
from worker.messages import unpack_training
from worker.segmenter import Progress, SegmenterError, TrainingData, TrainingTile
from worker.serving import Emit, breathe

_CHECKED = 16
"""A training looks at so many tiles in the end; the evaluation looks at all of them."""


def train(request: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Grow all trees, monitor them, write the model folder."""
    began = time.monotonic()
    into = Path(request["into"])
    data = unpack_training(request["data"])
    names = {label.value: label.name for label in data.schema.labels}
    values = tuple(names)
    tiles = data.tiles
    rasters = [_target(tile) for tile in tiles]
    _refuse_hopeless(tiles, rasters, names)
    lessons = partial.lessons(tiles, rasters, values)
    open_ = [place for place, lesson in enumerate(lessons) if lesson.is_open]
    rounds = 2 if open_ else 1
    checked = _spread(data.validation or tiles)
    steps = len(open_) + len(checked)
    steps += rounds * (2 * len(tiles) + 1 + ensemble.MEMBERS)
    course = _Course(emit, steps)

    seeds = np.random.SeedSequence(data.seed).spawn(ensemble.MEMBERS + 1)
    generators = [np.random.default_rng(seed) for seed in seeds]
    targets = [partial.first_guess(lessons, rng) for rng in generators[1:]]
    forest = _grown(data, values, targets, generators, course)
    if open_:
        for place in open_:
            seen = _seen(data, tiles[place], forest.first, values)
            # each for itself: where they disagree, nobody has said what is there
            for member, mine in zip(forest.members, targets, strict=True):
                p = ensemble.answer(member, values, seen)
                mine[place] = partial.settled(lessons[place], p, values)
            course.tell(f"Settled tile {place + 1}")
        forest = _grown(data, values, targets, generators, course)

    counts = []
    for position, tile in enumerate(checked):
        seen = _seen(data, tile, forest.first, values)
        mean = ensemble.believe(forest.members, values, seen, breathe).mean
        complete = set(values) - tile.zero_may_be(values)
        found = confusion(_target(tile), _decide(mean, values), values, complete)
        counts.append(found)
        course.tell(f"Checked tile {position + 1}")
    metrics = _metrics(
        pooled(counts), names, "validation" if data.validation else "training"
    )
    emit(Progress("Trained", 1.0, steps, metrics))

    settings = {
        "segmenter": "forest",
        "values": list(names),
        "working_nm": data.working_nm,
        "seed": data.seed,
        "members": ensemble.MEMBERS,
        "trees": ensemble.TREES,
        "pixels_per_class": ensemble.PIXELS_PER_CLASS,
        "sigmas": features.SIGMAS,
        "squares": context.HALVES,
    }
    into.mkdir(parents=True, exist_ok=True)
    ensemble.save(forest, into)
    (into / "forest.json").write_text(json.dumps(settings, indent=1))
    seconds = time.monotonic() - began
    return {"settings": settings, "metrics": {**metrics, "seconds": seconds}}


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
    data: TrainingData,
    values: tuple[int, ...],
    targets: Sequence[list[partial.U1]],
    generators: Sequence[np.random.Generator],
    course: _Course,
) -> ensemble.Forest:
    """Grow the first trees and a member from each list of rasters, one per tile.

    255 is left out. The first trees learn from the first list, with a generator more.
    """
    for_first, *for_members = generators

    def texture(tile: TrainingTile) -> features.F4:
        breathe()
        image = data.images[tile.image_id]
        return features.of_image(image, tile.box, data.working_nm)

    sample = ensemble.draw_sample(targets[0], for_first)
    (rows,) = _read(data.tiles, [sample], texture, course)
    first = _planted(rows, sample, for_first, course)

    samples = [
        ensemble.draw_sample(mine, rng)
        for mine, rng in zip(targets, for_members, strict=True)
    ]
    drawn = _read(
        data.tiles, samples, lambda tile: _seen(data, tile, first, values), course
    )
    members = [
        _planted(*each, course)
        for each in zip(drawn, samples, for_members, strict=True)
    ]
    return ensemble.Forest(first, members)


def _read(
    tiles: Sequence[TrainingTile],
    samples: Sequence[ensemble.Sample],
    seen: Callable[[TrainingTile], features.F4],
    course: _Course,
) -> list[features.F4]:
    """Return the features (N, F) of each sample's pixels, tile by tile."""
    rows: list[features.F4] = []
    for position, tile in enumerate(tiles):
        pixels = seen(tile)
        pixels = pixels.reshape(-1, pixels.shape[-1])
        rows = rows or [
            np.empty((len(sample.tile), pixels.shape[1]), np.float32)
            for sample in samples
        ]
        for sample, mine in zip(samples, rows, strict=True):
            here = sample.tile == position
            mine[here] = pixels[sample.pixel[here]]
        course.tell(f"Read tile {position + 1}")
    return rows


def _planted(
    rows: features.F4,
    sample: ensemble.Sample,
    rng: np.random.Generator,
    course: _Course,
) -> ensemble.Trees:
    breathe()
    trees = ensemble.grow(rows, sample, int(rng.integers(2**31)))
    course.tell("Grew trees")
    return trees


def _seen(
    data: TrainingData,
    tile: TrainingTile,
    first: ensemble.Trees,
    values: tuple[int, ...],
) -> features.F4:
    """Return what members see of a tile."""
    breathe()
    image = data.images[tile.image_id]
    return context.Sight(image, data.working_nm, first, values).of_box(tile.box)


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


def _decide(mean: NDArray[np.float32], values: tuple[int, ...]) -> NDArray[np.uint8]:
    channels = np.array((0, *values), np.uint8)
    decided: NDArray[np.uint8] = channels[mean.argmax(axis=0)]
    return decided


def _metrics(
    counts: dict[int, Counts], names: dict[int, str], of: str
) -> dict[str, float | None]:
    return {f"{of}_dice/{name}": counts[value].dice for value, name in names.items()}


def _target(tile: TrainingTile) -> NDArray[np.uint8]:
    target: NDArray[np.uint8] = np.load(tile.target, allow_pickle=False)
    return target
