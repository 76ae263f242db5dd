"""Strategies of other people, and chance: what ours has to be compared with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.ranker import reasons
from backend.ranker.scene import Scene, by_chance, by_entropy
from backend.ranker.score import draws, lottery, numbered
from backend.ranker.select import Criterion

F8 = NDArray[np.float64]

FOREGROUND = 0.66
"""Share of a `clasp-entropy` batch that is split evenly over the labels."""
SHARPEST = 100.0
"""Sharpness of the `clasp-entropy` draw at the end of the budget; 1 at its start."""


def random(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """Every tile with the same chance."""
    return [by_chance(scene, seats)]


def entropy(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """Mean predictive entropy, highest first."""
    return [by_entropy(scene, seats)]


def bald(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """Mean mutual information of label and member (Houlsby et al., arXiv 1112.5745)."""
    statistics = scene.statistics
    mean = scene.once("bald", lambda: statistics.information_sum / statistics.valid)
    return [
        Criterion("bald", seats, mean, lambda tile: reasons.disagreement(mean[tile]))
    ]


def power_entropy(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """Entropy as a weighted draw without replacement (arXiv 2106.12059)."""
    (plain,) = entropy(scene, seats, batch)
    score = scene.once(
        "power-entropy", lambda: lottery(plain.score, scene.draws("power-entropy"))
    )
    most = float(np.log(len(scene.statistics.values) + 1))
    return [
        Criterion(
            "power-entropy",
            seats,
            score,
            lambda tile: reasons.noisy_entropy(plain.score[tile], most),
        )
    ]


def k_center(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """The tile farthest from all annotated and chosen ones (arXiv 1708.00489)."""
    score = scene.once("k-center", lambda: np.ones(len(scene.pool)))
    reach = len(scene.known)
    return [
        Criterion("k-center", seats, score, lambda tile: reasons.farthest(reach), 1.0)
    ]


def er_area(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """Expected area of the class with the greatest weight, largest first."""
    statistics, needs = scene.statistics, scene.known_needs
    column = int(np.argmax([need.weight for need in needs]))
    share = scene.once("area", lambda: statistics.p_sum[:, column] / statistics.valid)
    name = needs[column].name
    return [
        Criterion(
            f"area:{name}", seats, share, lambda tile: reasons.area(name, share[tile])
        )
    ]


def foreground_random_66(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """A third anywhere, a third at a random label, a third at a random label's border.

    nnActive's "Random 66 % FG" with predicted instead of true labels: the label is
    drawn evenly among those predicted somewhere, the tile by the label's pixels or by
    the length of its outline.
    """
    return _foreground(scene, seats, batch, (1 / 3, 2 / 3))


def foreground_random_33(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """Two thirds anywhere, a sixth at a random label, a sixth at one's border."""
    return _foreground(scene, seats, batch, (2 / 3, 5 / 6))


def _foreground(
    scene: Scene, seats: int, batch: int, ends: Sequence[float]
) -> list[Criterion]:
    """Draw each seat's kind: anywhere up to the first end, inside up to the second."""
    statistics, needs = scene.statistics, scene.known_needs
    slots = numbered(seats, batch * seats)
    kind = np.searchsorted(ends, draws(scene.seed, "third", slots), side="right")
    present = np.flatnonzero(statistics.area[scene.order].any(axis=0))
    if not present.size:
        return [by_chance(scene, seats)]
    which = np.floor(len(present) * draws(scene.seed, "label", slots)).astype(int)
    criteria = [by_chance(scene, int((kind == 0).sum()))]
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
            quota = int(((kind == part) & (which == number)).sum())
            score = scene.once(
                purpose,
                lambda chances=chances, purpose=purpose: lottery(  # type: ignore[misc]
                    chances, scene.draws(purpose)
                ),
            )
            criteria.append(Criterion(purpose, quota, score, reason))
    return criteria


def clasp_entropy(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """Class-stratified predictive entropy with scheduled noise (arXiv 2601.13677).

    66 % of the batch by H·p of each label in equal parts, labels drawn at random for
    what is left over, the rest by H; each as a weighted draw that sharpens from 1 to
    100 as the budget is spent.
    """
    statistics, needs = scene.statistics, scene.known_needs
    sharpness = SHARPEST**scene.knowledge.spent
    foreground = int(FOREGROUND * seats)
    even, left = divmod(foreground, len(needs))
    luck = draws(scene.seed, f"left over {batch}", numbered(len(needs)))
    lucky = np.argsort(luck)[:left]

    def drawn(purpose: str, mean: F8) -> F8:
        return scene.once(
            purpose, lambda: lottery(mean, scene.draws(purpose), sharpness)
        )

    criteria = []
    for column, need in enumerate(needs):
        mean = statistics.class_entropy[:, column] / statistics.valid

        def reason(tile: int, name: str = need.name, mean: F8 = mean) -> str:
            return reasons.class_entropy(name, mean[tile])

        purpose = f"undecided:{need.name}"
        quota = even + int(column in lucky)
        criteria.append(Criterion(purpose, quota, drawn(purpose, mean), reason))
    overall = statistics.entropy_sum / statistics.valid
    most = float(np.log(len(needs) + 1))
    rest = Criterion(
        "entropy",
        seats - foreground,
        drawn("noisy entropy", overall),
        lambda tile: reasons.noisy_entropy(overall[tile], most),
    )
    return [*criteria, rest]
