"""Which tiles to label first, before any model: what may be known, and who chooses.

`start` and `random` are the service's own strategies; the others here look at image
statistics, and `foreground-random-66-true` at the truth: nobody has it, it shows how
much there is to gain.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from backend.domain.geometry import Box, TileGrid
from backend.ranker import Pool, keys_of, rank
from backend.ranker.select import CROWDING, SPACING
from bench.subjects import U1

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

STATISTICS = (
    "mean",
    "deviation",
    "gradient",
    "texture 1-2",
    "texture 2-4",
    "texture 4-8",
    "texture 8-16",
    "dark ridges 2",
    "dark ridges 4",
    "bright ridges 2",
    "dark",
    "bright",
    "empty",
)
"""What is known of a tile without a model; numbers are scales in pixels."""
RIDGES, EMPTY = STATISTICS.index("dark ridges 2"), STATISTICS.index("empty")
FLAT = 0.2
"""Local deviation at 4 pixels, in deviations of the image, below which nothing is."""
MOST_EMPTY = 0.2
CANDIDATES = 8
ROUNDS = 25


def statistics(pixels: U1 | F4, tile: int) -> F8:
    """Return (tiles, 13) statistics of a whole image, in the order of its grid.

    Grey values count in deviations from the image's mean, so that donors whose sections
    took the stain differently stay comparable. Texture is the size of a difference of
    two Gaussians. Ridges are eigenvalues of the Hessian, times sigma squared (Sato et
    al., Med. Image Anal. 2:143, 1998), where it is darker than around: a bright line
    has dark flanks. Dark, bright and empty are shares of pixels.
    """
    grey = (pixels - pixels.mean(dtype=float)).astype(np.float32)
    grey /= float(pixels.std()) or 1.0
    blurred = {s: gaussian_filter(grey, s) for s in (1, 2, 4, 8, 16)}
    scales = list(blurred)
    bands = [abs(blurred[a] - blurred[b]) for a, b in pairwise(scales)]
    around = gaussian_filter(grey * grey, 4) - blurred[4] ** 2
    fine, coarse = _ridges(grey, 2), _ridges(grey, 4)
    planes = [
        grey,
        grey * grey,
        np.hypot(*np.gradient(blurred[1])),
        *bands,
        np.maximum(fine[0], 0) * (blurred[2] < blurred[8]),
        np.maximum(coarse[0], 0) * (blurred[4] < blurred[16]),
        np.maximum(-fine[1], 0) * (blurred[2] > blurred[8]),
        blurred[2] < -1,
        blurred[2] > 1,
        around < FLAT**2,
    ]
    grid = TileGrid(pixels.shape[0], pixels.shape[1], tile)
    means = np.array([[plane[box.slices].mean() for plane in planes] for box in grid])
    means[:, 1] = np.sqrt(np.maximum(means[:, 1] - means[:, 0] ** 2, 0))
    return means


def _ridges(grey: F4, sigma: int) -> tuple[F4, F4]:
    """Return both eigenvalues of the Hessian, the larger first."""
    yy, yx, xx = (
        sigma**2 * gaussian_filter(grey, sigma, order=order)
        for order in ((2, 0), (1, 1), (0, 2))
    )
    middle, radius = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
    return middle + radius, middle - radius


@dataclass(frozen=True, slots=True)
class Known:
    """A pool before any model.

    `statistics` (T, 13) as `statistics` gives them; `area` (T, C) true pixels of every
    label, for who may cheat.
    """

    pool: Pool
    statistics: F8
    area: F8

    @property
    def standard(self) -> F8:
        """(T, 13) statistics in deviations over the pool, at most 3 of them."""
        centred = self.statistics - self.statistics.mean(axis=0)
        spread = self.statistics.std(axis=0)
        scaled: F8 = np.clip(centred / np.where(spread > 0, spread, 1), -3, 3)
        return scaled

    @property
    def full(self) -> Mask:
        """(T,) whether a tile is worth a look: not nearly empty."""
        full = self.statistics[:, EMPTY] <= MOST_EMPTY
        return full if full.any() else ~full


Choice = Callable[[Known, int, int], list[int]]
"""(what is known, how many tiles, seed) -> positions in the pool, in order."""
Pick = Callable[[np.random.Generator, F8, F8], int]
"""(random, squared distance in statistics, distance in the image) -> which of them."""


def by_name(strategy: str) -> Choice:
    """Return a strategy of the service."""

    def choose(known: Known, count: int, seed: int) -> list[int]:
        return [one.tile for one in rank(strategy, known.pool, count, 0, seed)]

    return choose


def spread(random: np.random.Generator, unlike: F8, apart: F8) -> int:
    """Pick the farthest in space of eight at random."""
    some = random.permutation(len(apart))[:CANDIDATES]
    return int(some[apart[some].argmax()])


def squared(random: np.random.Generator, unlike: F8, apart: F8) -> int:
    """Pick as k-means++ does: with odds by the squared distance to what is taken."""
    odds = unlike if np.isfinite(unlike).all() and unlike.sum() > 0 else None
    odds = np.ones(len(unlike)) if odds is None else odds
    return int(random.choice(len(odds), p=odds / odds.sum()))


def farthest(random: np.random.Generator, unlike: F8, apart: F8) -> int:
    """Pick the one least like what is taken (k-center)."""
    best = np.flatnonzero(unlike == unlike.max())
    return int(random.choice(best))


def in_turn(pick: Pick, ridges: bool = False) -> Choice:
    """Let images give a tile in turn; with `ridges` every second is rich in them."""

    def choose(known: Known, count: int, seed: int) -> list[int]:
        random = np.random.default_rng(seed)
        where, images = known.standard, known.pool.images
        centres = known.pool.centres
        free = known.full.copy()
        tercile = np.quantile(known.statistics[free, RIDGES], 2 / 3)
        rich = known.statistics[:, RIDGES] >= tercile
        unlike = np.full(len(free), np.inf)
        apart = np.full(len(free), np.inf)
        taken: list[int] = []
        turns = random.permutation(np.unique(images))
        while len(taken) < min(count, int(known.full.sum())):
            for image in turns:
                here = free & (images == image)
                wishes = [apart >= SPACING]
                if ridges and len(taken) % 2 == 0:
                    wishes.append(rich)
                for wish in wishes:
                    if (here & wish).any():
                        here = here & wish
                if not here.any() or len(taken) == count:
                    continue
                found = np.flatnonzero(here)
                tile = int(found[pick(random, unlike[found], apart[found])])
                taken.append(tile)
                free[tile] = False
                step = ((where - where[tile]) ** 2).sum(axis=1)
                unlike = np.minimum(unlike, step)
                same = images == image
                gap = np.hypot(*(centres - centres[tile]).T)
                apart[same] = np.minimum(apart[same], gap[same])
        return taken

    return choose


def k_means(known: Known, count: int, seed: int) -> list[int]:
    """Return the tile nearest to the centre of each of `count` clusters.

    No image gives more than twice its even share.
    """
    random = np.random.default_rng(seed)
    tiles = np.flatnonzero(known.full)
    where, images = known.standard[tiles], known.pool.images[tiles]
    count = min(count, len(tiles))
    first = [int(random.integers(len(tiles)))]
    gap = np.full(len(tiles), np.inf)
    while len(first) < count:
        gap = np.minimum(gap, ((where - where[first[-1]]) ** 2).sum(axis=1))
        odds = gap / gap.sum() if gap.sum() > 0 else np.full(len(gap), 1 / len(gap))
        first.append(int(random.choice(len(gap), p=odds)))
    centres = where[first]
    for _ in range(ROUNDS):
        own = _squares(where, centres).argmin(axis=1)
        for number in range(count):
            if (own == number).any():
                centres[number] = where[own == number].mean(axis=0)
    cap = -(-CROWDING * count // len(np.unique(images)))
    given: dict[int, int] = {}
    taken: dict[int, None] = {}
    for distance in _squares(centres, where):
        order = [int(tile) for tile in distance.argsort() if int(tile) not in taken]
        open_ = (t for t in order if given.get(int(images[t]), 0) < cap)
        tile = next(open_, order[0])
        taken[tile] = None
        image = int(images[tile])
        given[image] = given.get(image, 0) + 1
    return [int(tiles[tile]) for tile in taken]


def _squares(some: F8, others: F8) -> F8:
    found: F8 = ((some[:, None] - others[None]) ** 2).sum(axis=2)
    return found


def true_foreground(known: Known, count: int, seed: int) -> list[int]:
    """A third at random, the others around a random pixel of a random true label."""
    random = np.random.default_rng(seed)
    tiles, labels = known.area.shape
    taken: dict[int, None] = {}
    while len(taken) < min(count, tiles):
        weights = np.ones(tiles)
        if random.random() < 2 / 3:
            weights = known.area[:, random.integers(labels)]
        taken[int(random.choice(tiles, p=weights / weights.sum()))] = None
    return list(taken)


CHOICES: dict[str, Choice] = {
    "random": by_name("random"),
    "start": by_name("start"),
    "spread-tissue": in_turn(spread),
    "spread-ridges": in_turn(spread, ridges=True),
    "diverse": in_turn(squared),
    "diverse-ridges": in_turn(squared, ridges=True),
    "k-center": in_turn(farthest),
    "k-means": k_means,
    "foreground-random-66-true": true_foreground,
}


def pool_of(images: Sequence[U1], tile: int) -> tuple[Pool, list[tuple[int, Box]]]:
    """Return all tiles of images as the ranker sees them, and where each lies."""
    places = [
        (number, box)
        for number, pixels in enumerate(images)
        for box in TileGrid(pixels.shape[0], pixels.shape[1], tile)
    ]
    boxes = [(box.y, box.x, box.h, box.w) for _, box in places]
    pool = Pool(
        keys=keys_of(
            uuid.uuid5(uuid.NAMESPACE_OID, f"{number}-{box.y}-{box.x}")
            for number, box in places
        ),
        images=np.array([number for number, _ in places], np.int64),
        boxes=np.array(boxes, np.int32),
        excluded=np.zeros(len(places), bool),
    )
    return pool, places
