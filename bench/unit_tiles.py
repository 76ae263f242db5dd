"""Tiles whose every pixel is known, with what a model that has not learnt them said."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from backend.domain.labels import UNKNOWN
from backend.domain.states import Split
from backend.ranker.statistics import BINS, LOGIT_EDGES, TileStatistics
from bench.places import SPLITS
from bench.subjects import SCHEMA
from bench.unit_models import Learnt
from bench.vnc import Cord

F8 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Tiles that the model has not learnt, with its statistics and the truth.

    `true` and `decided` (T, C) count the pixels that are the label and those that were
    said to be; `missed_bins` and `other_bins` (T, C, 16) those not decided for the
    label, which are it or are not, by bin of logit p.
    """

    statistics: TileStatistics
    true: F8
    decided: F8
    missed_bins: F8
    other_bins: F8

    def __len__(self) -> int:
        return len(self.statistics)

    @property
    def missed(self) -> F8:
        """(T, C) pixels that are the label and were decided otherwise."""
        found: F8 = self.missed_bins.sum(axis=-1)
        return found

    @property
    def wrong(self) -> F8:
        """(T, C) pixels that were missed, and those said to be what they are not."""
        return self.decided - self.true + 2 * self.missed

    def take(self, tiles: NDArray[np.intp]) -> "Judged":
        """Return these tiles, in this order."""
        arrays = [getattr(self, f.name)[tiles] for f in fields(self)[1:]]
        return Judged(self.statistics.take(tiles), *arrays)


def judged(cord: Cord, model: Learnt, split: Split) -> Judged:
    """Return the tiles of a split, section by section, each in the order of its grid.

    Tiles the model has learnt are left out.
    """
    places = [place for section in SPLITS[split] for place in cord.grid(section)]
    numbers = {place: number for number, place in enumerate(places)}
    sections = [_counts(cord, model, section) for section in SPLITS[split]]
    true, decided, missed, others = map(np.concatenate, zip(*sections, strict=True))
    statistics = TileStatistics.concatenate(
        [TileStatistics.load(model.sweep(n) / "tiles.npz") for n in SPLITS[split]]
    )
    kept = np.ones(len(places), bool)
    kept[[numbers[place] for place in model.places if place in numbers]] = False
    every = Judged(statistics, true, decided, missed, others)
    return every.take(np.flatnonzero(kept))


def _counts(cord: Cord, model: Learnt, section: int) -> tuple[F8, F8, F8, F8]:
    """Return the true, decided, missed and other pixels of a section's tiles."""
    folder, truth = model.sweep(section), cord.sections[section][1]
    decided = np.load(folder / "labels.npy")
    shares = np.load(folder / "probabilities.npy", mmap_mode="r")
    boxes = [box for _, box in cord.grid(section)]
    shape = len(boxes), len(SCHEMA.values)
    true, said = np.zeros(shape), np.zeros(shape)
    bins = np.zeros((2, *shape, BINS))
    for column, value in enumerate(SCHEMA.values):
        # Shares of 255 are rounded: what is kept as 0 was below 1/510.
        p = np.clip(shares[column + 1], 0.25, 254.75) / 255
        bin_of = np.digitize(np.log(p / (1 - p)), LOGIT_EDGES)
        for tile, box in enumerate(boxes):
            here, answer = truth[box.slices], decided[box.slices]
            known, is_it, is_said = here != UNKNOWN, here == value, answer == value
            true[tile, column] = is_it.sum()
            said[tile, column] = (is_said & known).sum()
            for kind, which in enumerate((is_it, ~is_it & known)):
                open_bins = bin_of[box.slices][which & ~is_said]
                bins[kind, tile, column] = np.bincount(open_bins, minlength=BINS)
    return true, said, bins[0], bins[1]


def chosen(validation: Judged, count: int, seed: int) -> Judged:
    """Return `count` random tiles of the validation sections: a project's own."""
    order = np.random.default_rng(seed).permutation(len(validation))
    return validation.take(order[:count])
