"""Which tiles to label first: does looking at the pixels beat spreading in space?

    python -m bench.start        (or `make bench-start`)

For each seed and number of first tiles, every way of choosing them (`bench.firsts`)
trains the forest on the same pool: the nerve cord, the phantom, and a phantom whose
images took the stain differently and are empty in part. Measured are average precision
and Dice of the class with priority on every so many-th pixel of images nobody chose
from. Differences to `start` are paired by seed, with t-intervals of 95 %; `overall` is
the mean over the numbers of tiles. What is done stays in the result and is not done
again.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from backend.domain.metrics import average_precision, confusion, probability_histograms
from backend.domain.states import Split
from backend.imaging.phantom import phantom
from bench.firsts import CHOICES, Known, pool_of, statistics
from bench.peers import RESULTS, facts
from bench.places import ROOT, SPLITS, TILE, data
from bench.results import Record, write
from bench.subjects import SCHEMA, U1, section
from worker.forest import ensemble, features
from worker.segmenter import ImageData

COUNTS = (6, 12, 24)
TEST_PIXELS = 60_000
LIVER = ("nucleus", "mitochondria", "lipid droplet", "ER", "cell boundary")
EDGE, POOL, TEST = 768, 12, 3
TREES = 4
"""Per member, a quarter of the worker's: the tiles are compared, not the forests."""
BASE = "start"


@dataclass
class Field:
    """Images to choose tiles of and others to measure on; `folder` keeps features."""

    pool: Sequence[tuple[U1, U1]]
    test: Sequence[tuple[U1, U1]]
    values: tuple[int, ...]
    priority: int
    folder: Path

    def __post_init__(self) -> None:
        greys = [grey for grey, _ in self.pool]
        ranked, self.places = pool_of(greys, TILE)
        area = [
            [float((self.pool[n][1][box.slices] == v).sum()) for v in self.values]
            for n, box in self.places
        ]
        about = np.concatenate([statistics(grey, TILE) for grey in greys])
        self.known = Known(ranked, about, np.array(area))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._seen = [self._features(number, grey) for number, grey in enumerate(greys)]

    def _features(self, number: int, grey: U1) -> NDArray[np.float32]:
        path = self.folder / f"{number}.npy"
        if not path.exists():
            part = path.with_suffix(".part.npy")
            np.save(part, features_of(grey))
            part.replace(path)
        seen: NDArray[np.float32] = np.load(path, mmap_mode="r")
        return seen

    @cached_property
    def measured(self) -> tuple[NDArray[np.float32], U1]:
        """(1, N, F) features and (1, N) truth of the pixels to measure on."""
        whole = sum(grey.size for grey, _ in self.test)
        step = max(1, whole // TEST_PIXELS) | 1
        seen, truth = [], []
        for grey, labels in self.test:
            flat = features_of(grey).reshape(-1, features.COUNT)
            seen.append(flat[::step])
            truth.append(labels.ravel()[::step])
        return np.concatenate(seen)[None], np.concatenate(truth)[None]

    def score(self, tiles: Sequence[int], seed: int) -> dict[str, float]:
        """Train on these tiles and measure the class with priority."""
        targets = [self._target(tile) for tile in tiles]
        seeds = np.random.SeedSequence(seed).spawn(ensemble.MEMBERS)
        members = []
        for one in seeds:
            rng = np.random.default_rng(one)
            sample = ensemble.draw_sample(targets, rng)
            rows = np.empty((len(sample.tile), features.COUNT), np.float32)
            for position, tile in enumerate(tiles):
                number, box = self.places[tile]
                mine = sample.tile == position
                block = self._seen[number][box.slices].reshape(-1, features.COUNT)
                rows[mine] = block[sample.pixel[mine]]
            with mock.patch.object(ensemble, "TREES", TREES):
                members.append(ensemble.grow(rows, sample, int(rng.integers(2**31))))
        seen, truth = self.measured
        mean = ensemble.believe(members, self.values, seen, lambda: None).mean
        said = np.array((0, *self.values), np.uint8)[mean.argmax(axis=0)]
        counts = confusion(truth, said, self.values, self.values)
        channel = 1 + self.values.index(self.priority)
        probability = np.rint(mean[channel] * 255).astype(np.uint8)
        precision = average_precision(
            *probability_histograms(truth, probability, self.priority, self.values)
        )
        held = sum(int((target == self.priority).sum()) for target in targets)
        return {
            "average_precision": round(precision or 0.0, 5),
            "dice": round(counts[self.priority].dice or 0.0, 5),
            "mean_dice": round(fmean(c.dice or 0.0 for c in counts.values()), 5),
            "pixels": held,
        }

    def _target(self, tile: int) -> U1:
        number, box = self.places[tile]
        return self.pool[number][1][box.slices]


def features_of(grey: U1) -> NDArray[np.float32]:
    """Return what the forest sees of a whole image."""
    image = ImageData("", Path(), float(grey.mean()), float(grey.std()), None)
    whole = pool_of([grey], max(grey.shape))[1][0][1]
    return features.pixel_features(grey, whole, image.mean, image.sd, 1.0)


def cord(folder: Path) -> Field:
    """Return the fly's nerve cord; mitochondria have priority."""
    source = data(None)
    pool, test = (
        [section(source, n) for n in SPLITS[split]]
        for split in (Split.POOL, Split.TEST)
    )
    return Field(pool, test, SCHEMA.values, 2, folder)


def liver(folder: Path, varied: bool = False) -> Field:
    """Return the phantom; the ER has priority."""
    made = [phantom(1000 + n, EDGE, EDGE) for n in range(POOL + TEST)]
    pairs = [(one.image, one.labels) for one in made]
    pool = pairs[:POOL]
    if varied:
        pool = [vary(grey, labels, n) for n, (grey, labels) in enumerate(pool)]
    values = tuple(range(1, 1 + len(LIVER)))
    return Field(pool, pairs[POOL:], values, 1 + LIVER.index("ER"), folder)


def vary(grey: U1, labels: U1, number: int) -> tuple[U1, U1]:
    """Give an image its own contrast and brightness, and leave up to half of it empty.

    Where it is empty there is resin: bright, with a little noise, none of the labels.
    """
    random = np.random.default_rng(number)
    gain, offset = random.uniform(0.6, 1.2), random.uniform(-20, 20)
    stained = (grey - grey.mean()) * gain + grey.mean() + offset
    edge = int(random.uniform(0, 0.5) * grey.shape[1])
    noise = random.normal(215, 2, (len(grey), edge))
    stained[:, :edge] = noise
    there = labels.copy()
    there[:, :edge] = 0
    return np.clip(np.rint(stained), 0, 255).astype(np.uint8), there


FIELDS: Mapping[str, Callable[[Path], Field]] = {
    "vnc": cord,
    "phantom": liver,
    "phantom-varied": lambda folder: liver(folder, varied=True),
}


def main() -> int:
    """Run what is asked for; returns the exit status."""
    asked = arguments()
    # one tree after the other: two runs at once use two cores better
    os.environ.setdefault("LOKY_MAX_CPU_COUNT", "1")
    for name in asked.fields:
        run(name, asked)
    found = {**summary(records(asked.records)), "made": facts(len(asked.seeds))}
    write(asked.out, found)
    print(json.dumps(found, indent=1))
    return 0


def run(name: str, asked: argparse.Namespace) -> None:
    """Measure all ways on one kind of images, seed by seed."""
    field = FIELDS[name](asked.work / name)
    for seed in asked.seeds:
        for count in COUNTS:
            for way in asked.ways:
                same = {"field": name, "seed": seed, "tiles": count, "way": way}
                if any(same.items() <= r.items() for r in records(asked.records)):
                    continue
                chosen = CHOICES[way](field.known, count, seed)
                line = json.dumps({**same, **field.score(chosen, seed)})
                with asked.records.open("a") as out:
                    out.write(f"{line}\n")
                print(f"{name} {seed} {count} {way}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    """Return the command line's wishes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fields", nargs="+", choices=FIELDS, default=list(FIELDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(16)))
    parser.add_argument("--ways", nargs="+", choices=CHOICES, default=list(CHOICES))
    parser.add_argument("--work", type=Path, default=ROOT / "data/start")
    parser.add_argument("--records", type=Path, default=RESULTS / "start.jsonl")
    parser.add_argument("--out", type=Path, default=RESULTS / "start.json")
    return parser.parse_args()


def records(lines: Path) -> list[Record]:
    """Return what was measured so far, one line each."""
    text = lines.read_text() if lines.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def summary(found: Sequence[Record]) -> dict[str, Any]:
    """Return every way's scores and what they gain on `start`, by kind of images."""
    return {
        name: {
            way: {
                str(count): compared(found, name, way, counts)
                for count, counts in [*((n, (n,)) for n in COUNTS), ("overall", COUNTS)]
            }
            for way in CHOICES
            if any(r["way"] == way and r["field"] == name for r in found)
        }
        for name in FIELDS
    }


def compared(
    found: Sequence[Record], name: str, way: str, counts: Sequence[int]
) -> dict[str, Any]:
    """Return the mean of each measure, its gain on `start` and the gain's interval.

    A seed counts where it was measured with all these numbers of tiles.
    """
    result: dict[str, Any] = {}
    for measure in ("average_precision", "dice", "mean_dice"):
        mine, base = (
            by_seed(
                [r for r in found if r["field"] == name and r["way"] == w],
                counts,
                measure,
            )
            for w in (way, BASE)
        )
        gains = [mine[seed] - base[seed] for seed in mine if seed in base]
        result[measure] = {"mean": round(fmean(mine.values()), 4) if mine else None}
        if way != BASE and len(gains) > 1:
            half = stdev(gains) / len(gains) ** 0.5 * stats.t.ppf(0.975, len(gains) - 1)
            gain = fmean(gains)
            result[measure] |= {
                "gain": round(gain, 4),
                "interval": [round(gain - half, 4), round(gain + half, 4)],
                "seeds": len(gains),
            }
    return result


def by_seed(
    found: Sequence[Record], counts: Sequence[int], measure: str
) -> dict[int, float]:
    """Return a measure's mean over numbers of tiles, by seed."""
    values: dict[int, dict[int, float]] = {}
    for record in found:
        values.setdefault(record["seed"], {})[record["tiles"]] = record[measure]
    return {
        seed: fmean(by_count[n] for n in counts)
        for seed, by_count in values.items()
        if set(counts) <= set(by_count)
    }


if __name__ == "__main__":
    sys.exit(main())
