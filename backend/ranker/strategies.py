"""The strategies by name, and `rank`, which puts a pool in the order of one of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.domain.errors import Conflict, Invalid
from backend.ranker import reasons
from backend.ranker.need import ClassNeed
from backend.ranker.score import draws, lottery
from backend.ranker.select import Criterion, Pool, fill, largest_remainder, turns
from backend.ranker.statistics import TileStatistics

F8 = NDArray[np.float64]

MISSED, UNDECIDED, CHANCE = 0.70, 0.15, 0.15
"""Shares of an `er-gap` batch."""
FOREGROUND = 0.66
"""Share of a `clasp-entropy` batch that is split evenly over the labels."""
SHARPEST = 100.0
"""Sharpness of the `clasp-entropy` draw at the end of the budget; 1 at its start."""
CANDIDATES = 8
"""Random tiles of an image of which `start` takes the one farthest from the others."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One tile of a query.

    `tile` is its position in the pool, `rank` counts from 1. `component` names the
    criterion that chose it, `score` is that criterion's score, and `parts` holds the
    score of every criterion of the batch that could have chosen it.
    """

    tile: int
    rank: int
    score: float
    component: str
    parts: dict[str, float]
    reason: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What a strategy sees: eligible tiles in an order that chance alone decided.

    `spent` is the share of the labelling budget already used, 0..1.
    """

    pool: Pool
    needs: tuple[ClassNeed, ...]
    seed: int
    spent: float

    def draws(self, purpose: str) -> F8:
        """Return one random number in (0, 1) per tile."""
        return draws(self.seed, purpose, self.pool.keys)

    @property
    def statistics(self) -> TileStatistics:
        """The model's statistics; Conflict while there is no model."""
        if self.pool.statistics is None:
            raise Conflict(
                "This strategy needs a trained model; use `start` or `random` until "
                "the first training has ended."
            )
        return self.pool.statistics

    @property
    def known_needs(self) -> list[ClassNeed]:
        """The need of each label the model knows, in the order of the statistics."""
        by_value = {need.value: need for need in self.needs}
        values = [int(value) for value in self.statistics.values]
        if any(value not in by_value for value in values):
            raise ValueError(f"needs for {sorted(by_value)}, statistics for {values}")
        return [by_value[value] for value in values]


Strategy = Callable[[Scene, int, int], list[Criterion]]
"""(scene, batch size, number of the batch from 0) -> criteria whose quotas add up."""


def er_gap(scene: Scene, size: int, batch: int) -> list[Criterion]:
    """70 % by expected missed pixels of classes in need, 15 % entropy, 15 % random."""
    statistics, needs = scene.statistics, scene.known_needs
    seats, undecided, chance = largest_remainder((MISSED, UNDECIDED, CHANCE), size)
    quotas = largest_remainder([need.weight for need in needs], seats)
    criteria = []
    for column, (need, quota) in enumerate(zip(needs, quotas, strict=True)):
        pixels = statistics.p_missed[:, column]
        share = pixels / statistics.valid

        def reason(
            tile: int, need: ClassNeed = need, pixels: F8 = pixels, share: F8 = share
        ) -> str:
            return reasons.missed(need, pixels[tile], share[tile])

        score = np.where(share > 0, share, -np.inf)
        criteria.append(Criterion(f"missed:{need.name}", quota, score, reason))
    return [*criteria, _entropy(scene, undecided), _random(scene, chance)]


def random(scene: Scene, size: int, batch: int) -> list[Criterion]:
    """Every tile with the same chance."""
    return [_random(scene, size)]


def entropy(scene: Scene, size: int, batch: int) -> list[Criterion]:
    """Mean predictive entropy, highest first."""
    return [_entropy(scene, size)]


def foreground_random_66(scene: Scene, size: int, batch: int) -> list[Criterion]:
    """A third anywhere, a third at a random label, a third at a random label's border.

    nnActive's "Random 66 % FG" with predicted instead of true labels: the label is
    drawn evenly among those predicted somewhere, the tile by the label's pixels or by
    the length of its outline.
    """
    statistics, needs = scene.statistics, scene.known_needs
    slots = [str(batch * size + slot) for slot in range(size)]
    third = np.floor(3 * draws(scene.seed, "third", slots)).astype(int)
    present = np.flatnonzero(statistics.area.any(axis=0))
    if not present.size:
        return [_random(scene, size)]
    which = np.floor(len(present) * draws(scene.seed, "label", slots)).astype(int)
    criteria = [_random(scene, int((third == 0).sum()))]
    for number, column in enumerate(present):
        name = needs[column].name
        area = statistics.area[:, column]
        outline = np.where(area > 0, statistics.boundary[:, column], 0)

        def inside(
            tile: int, name: str = name, share: F8 = area / statistics.valid
        ) -> str:
            return reasons.inside(name, share[tile])

        def border(tile: int, name: str = name, length: F8 = outline) -> str:
            return reasons.border(name, length[tile])

        for part, purpose, chances, reason in (
            (1, f"inside:{name}", area.astype(float), inside),
            (2, f"border:{name}", outline, border),
        ):
            quota = int(((third == part) & (which == number)).sum())
            score = lottery(chances, scene.draws(purpose))
            criteria.append(Criterion(purpose, quota, score, reason))
    return criteria


def clasp_entropy(scene: Scene, size: int, batch: int) -> list[Criterion]:
    """Class-stratified predictive entropy with scheduled noise (arXiv 2601.13677).

    66 % of the batch by H·p of each label in equal parts, labels drawn at random for
    what is left over, the rest by H; each as a weighted draw that sharpens from 1 to
    100 as the budget is spent.
    """
    statistics, needs = scene.statistics, scene.known_needs
    sharpness = SHARPEST**scene.spent
    foreground = int(FOREGROUND * size)
    even, left = divmod(foreground, len(needs))
    names = [need.name for need in needs]
    lucky = np.argsort(draws(scene.seed, f"left over {batch}", names))[:left]
    criteria = []
    for column, name in enumerate(names):
        mean = statistics.class_entropy[:, column] / statistics.valid

        def reason(tile: int, name: str = name, mean: F8 = mean) -> str:
            return reasons.class_entropy(name, mean[tile])

        purpose = f"undecided:{name}"
        score = lottery(mean, scene.draws(purpose), sharpness)
        quota = even + int(column in lucky)
        criteria.append(Criterion(purpose, quota, score, reason))
    overall = statistics.entropy_sum / statistics.valid
    most = math.log(len(needs) + 1)
    rest = Criterion(
        "entropy",
        size - foreground,
        lottery(overall, scene.draws("entropy"), sharpness),
        lambda tile: reasons.noisy_entropy(overall[tile], most),
    )
    return [*criteria, rest]


def start(scene: Scene, size: int, batch: int) -> list[Criterion]:
    """Before any model: images in turn, each time far from the tiles already taken.

    Within an image the farthest of eight random tiles is taken (Mitchell's best
    candidate), which spreads without sticking to the corners.
    """
    pool, centres = scene.pool, scene.pool.centres
    waiting: dict[int, list[int]] = {}
    for tile, image in enumerate(pool.images):
        waiting.setdefault(int(image), []).append(tile)
    score = -np.arange(len(pool), dtype=float) - len(pool)
    wanted, taken = min(len(pool), (batch + 1) * size), 0
    gaps = np.full(len(pool), np.inf)
    while taken < wanted:
        for tiles in waiting.values():
            if not tiles:
                continue
            tile = max(tiles[:CANDIDATES], key=lambda tile: gaps[tile])
            tiles.remove(tile)
            apart = np.hypot(*(centres[tiles] - centres[tile]).T)
            gaps[tiles] = np.minimum(gaps[tiles], apart)
            score[tile] = -taken
            taken += 1
    return [Criterion("start", size, score, lambda tile: reasons.start())]


STRATEGIES: dict[str, Strategy] = {
    "er-gap": er_gap,
    "random": random,
    "foreground-random-66": foreground_random_66,
    "entropy": entropy,
    "clasp-entropy": clasp_entropy,
    "start": start,
}


def rank(
    strategy: str,
    pool: Pool,
    query_size: int,
    reserve: int,
    seed: int,
    needs: Sequence[ClassNeed] = (),
    spent: float = 0.0,
) -> list[Ranked]:
    """Put the best `query_size` + `reserve` tiles of a pool in order.

    Ranks 1..query_size are a batch in the strategy's proportions, the next as many are
    another one, and so on. The result depends on the seed and on the tiles, not on
    their order in the pool. Fewer tiles come back if the pool has fewer.
    """
    if strategy not in STRATEGIES:
        raise Invalid(
            f"There is no strategy {strategy!r}; choose one of "
            f"{', '.join(STRATEGIES)}.",
            field="strategy",
        )
    if query_size < 1 or reserve < 0 or not 0 <= spent <= 1:
        raise ValueError(f"cannot rank {query_size=} {reserve=} {spent=}")
    if not np.isfinite([need.weight for need in needs]).all():
        raise ValueError("the weight of a class is not a number")
    order = _order(pool, seed)
    scene = Scene(pool.take(order), tuple(needs), seed, spent)
    fallback = _random(scene, 0)
    free = np.ones(len(order), bool)
    ranked: list[Ranked] = []
    total = min(query_size + reserve, len(order))
    for batch in range(-(-total // query_size)):
        criteria = STRATEGIES[strategy](scene, query_size, batch)
        slots = turns(criteria)[: total - len(ranked)]
        for tile, chosen in fill(scene.pool, slots, query_size, fallback, free):
            every = (*criteria, chosen)
            parts = {c.name: float(c.score[tile]) for c in every}
            ranked.append(
                Ranked(
                    tile=int(order[tile]),
                    rank=len(ranked) + 1,
                    score=parts[chosen.name],
                    component=chosen.name,
                    parts={k: v for k, v in parts.items() if math.isfinite(v)},
                    reason=chosen.reason(tile),
                )
            )
    return ranked


def scores(
    strategy: str,
    pool: Pool,
    query_size: int,
    seed: int,
    needs: Sequence[ClassNeed] = (),
    spent: float = 0.0,
) -> dict[str, F8]:
    """Return what each criterion of `rank`'s first batch gives the tiles it may choose.

    By the criterion's name; the tiles are in an order of chance.
    """
    scene = Scene(pool.take(_order(pool, seed)), tuple(needs), seed, spent)
    criteria = STRATEGIES[strategy](scene, query_size, 0)
    return {c.name: c.score[np.isfinite(c.score)] for c in criteria}


def _order(pool: Pool, seed: int) -> NDArray[np.intp]:
    """Return the tiles that may be ranked, in an order that chance alone decides.

    It breaks every tie later on, and makes sums and draws independent of the order in
    which tiles were listed.
    """
    order = np.lexsort((np.array(pool.keys), draws(seed, "order", pool.keys)))
    allowed: NDArray[np.intp] = order[~pool.excluded[order]]
    return allowed


def _random(scene: Scene, quota: int) -> Criterion:
    return Criterion(
        "random", quota, scene.draws("random"), lambda tile: reasons.at_random()
    )


def _entropy(scene: Scene, quota: int) -> Criterion:
    statistics = scene.statistics
    mean = statistics.entropy_sum / statistics.valid
    most = math.log(len(statistics.values) + 1)
    return Criterion(
        "entropy", quota, mean, lambda tile: reasons.entropy(mean[tile], most)
    )
