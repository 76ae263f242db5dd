"""The strategies by name, and `rank`, which puts a pool in the order of one of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.domain.errors import Invalid
from backend.ranker import comparators, cost, ergap
from backend.ranker.knowledge import Knowledge
from backend.ranker.need import ClassNeed
from backend.ranker.parameters import Parameters
from backend.ranker.pool import Pool
from backend.ranker.scene import Choose, Scene, by_chance
from backend.ranker.select import Batch, Criterion, largest_remainder, turns
from backend.ranker.start import start

F8 = NDArray[np.float64]

HEAD = 10_000
"""Of a larger pool, about so many tiles are looked at one by one: each criterion's
best, and as many at random."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to choose; `controls` is its share of random control tiles by default."""

    choose: Choose
    controls: float = 0.0

    @property
    def text(self) -> str:
        """What it does, in a line."""
        return (self.choose.__doc__ or "").partition("\n")[0]


STRATEGIES = {
    "er-gap": Strategy(ergap.er_gap, ergap.CONTROLS),
    "er-gap-learned": Strategy(ergap.er_gap_learned, ergap.CONTROLS),
    "random": Strategy(comparators.random),
    "foreground-random-33": Strategy(comparators.foreground_random_33),
    "foreground-random-66": Strategy(comparators.foreground_random_66),
    "entropy": Strategy(comparators.entropy),
    "bald": Strategy(comparators.bald),
    "power-entropy": Strategy(comparators.power_entropy),
    "clasp-entropy": Strategy(comparators.clasp_entropy),
    "k-center": Strategy(comparators.k_center),
    "er-area": Strategy(comparators.er_area),
    "start": Strategy(start),
}


@dataclass(frozen=True, slots=True)
class Ranked:
    """One tile of a query.

    `tile` is its position in the pool, `rank` counts from 1. `component` names the
    criterion that chose it, `score` is that criterion's score, and `parts` holds the
    score of every criterion of the batch that could have chosen it, and with a model
    `cost.PARTS`.
    """

    tile: int
    rank: int
    score: float
    component: str
    parts: dict[str, float]
    reason: str


def rank(
    strategy: str,
    pool: Pool,
    query_size: int,
    reserve: int,
    seed: int,
    needs: Sequence[ClassNeed] = (),
    knowledge: Knowledge | None = None,
    parameters: Parameters | None = None,
) -> list[Ranked]:
    """Put the best `query_size` + `reserve` tiles of a pool in order, as `order` does.

    The result depends on the seed and on the tiles, not on their order in the pool.
    """
    scene = Scene.of(pool, seed, needs, knowledge, parameters)
    return order(strategy, scene, query_size, reserve)


def order(strategy: str, scene: Scene, query_size: int, reserve: int) -> list[Ranked]:
    """Put the best `query_size` + `reserve` tiles of a scene in order.

    Ranks 1..query_size are a batch in the strategy's proportions, the next as many are
    another one, and so on. Fewer tiles come back if the pool has fewer.
    """
    if query_size < 1 or reserve < 0:
        raise ValueError(f"cannot rank {query_size=} {reserve=}")
    rule = _rule(strategy)
    if not len(scene.order):
        return []
    first = _criteria(rule, scene, query_size, 0)
    spread = any(criterion.diversity for criterion in first)
    fallback = by_chance(scene, 0)
    candidates = _candidates(scene, [*first, fallback], query_size + reserve)
    batch = Batch(scene.pool, candidates, scene.space if spread else None)
    ranked: list[Ranked] = []
    total = min(query_size + reserve, len(candidates))
    for number in range(-(-total // query_size)):
        criteria = _criteria(rule, scene, query_size, number) if number else first
        slots = turns(criteria)[: total - len(ranked)]
        for tile, chosen in batch.fill(slots, query_size, fallback):
            every = {c.name: float(c.score[tile]) for c in (*criteria, chosen)}
            parts = _cost_parts(scene, tile) | every
            ranked.append(
                Ranked(
                    tile=tile,
                    rank=len(ranked) + 1,
                    score=every[chosen.name],
                    component=chosen.name,
                    parts={k: v for k, v in parts.items() if math.isfinite(v)},
                    reason=chosen.reason(tile),
                )
            )
    return ranked


def scores(strategy: str, scene: Scene, query_size: int) -> dict[str, F8]:
    """Return what each criterion of the first batch gives the tiles it may choose.

    By the criterion's name; the tiles are in an order of chance.
    """
    found = {
        criterion.name: criterion.score[scene.order]
        for criterion in _criteria(_rule(strategy), scene, query_size, 0)
    }
    return {name: values[np.isfinite(values)] for name, values in found.items()}


def _rule(strategy: str) -> Strategy:
    if strategy not in STRATEGIES:
        raise Invalid(
            f"There is no strategy {strategy!r}; choose one of "
            f"{', '.join(STRATEGIES)}.",
            field="strategy",
        )
    return STRATEGIES[strategy]


def _criteria(
    rule: Strategy, scene: Scene, size: int, number: int
) -> Sequence[Criterion]:
    """Return a batch's criteria, its control tiles among them.

    A batch of 4 or more has at least one control tile, and every second control tile,
    counted over all batches and queries, is for the validation set.
    """
    asked = scene.parameters.controls
    share = rule.controls if asked is None else asked
    seats = largest_remainder((1 - share, share), size)[1] if share else 0
    if share and size >= 4:
        seats = max(1, seats)
    chosen = rule.choose(scene, size - seats, number)
    if not seats:
        return chosen
    before = scene.knowledge.controls + number * seats
    validation = sum((before + seat) % 2 for seat in range(seats))
    return [
        *chosen,
        by_chance(scene, seats - validation, "control"),
        by_chance(scene, validation, "control-validation"),
    ]


def _candidates(
    scene: Scene, criteria: Sequence[Criterion], total: int
) -> NDArray[np.intp]:
    """Return the tiles to look at one by one, in the scene's order of chance.

    They are more than the `total` that is wanted, if the pool has more.
    """
    if len(scene.order) <= HEAD:
        return scene.order
    wanted = {criterion.name: criterion.score for criterion in criteria}
    most = min(max(HEAD // (len(wanted) + 1), 2 * total), len(scene.order))
    is_candidate = np.zeros(len(scene.pool), bool)
    is_candidate[scene.order[:most]] = True
    for score in wanted.values():
        best = np.argpartition(score[scene.order], -most)[-most:]
        is_candidate[scene.order[best]] = True
    return scene.order[is_candidate[scene.order]]


def _cost_parts(scene: Scene, tile: int) -> dict[str, float]:
    if scene.pool.statistics is None:
        return {}
    found = cost.parts(
        scene.statistics.take(np.array([tile])), scene.all_missed()[[tile]]
    )
    return dict(zip(cost.PARTS, map(float, found[0]), strict=True))
