"""Our own strategies: hunt the pixels that a class in need is expected to miss."""

import numpy as np
from numpy.typing import NDArray

from backend.ranker import cost, reasons
from backend.ranker.learned import features
from backend.ranker.scene import Scene, by_entropy
from backend.ranker.score import gumbel
from backend.ranker.select import Criterion, largest_remainder

F8 = NDArray[np.float64]

CONTROLS = 0.15
"""Share of random control tiles, unless the owner wants another."""
_LEAST = 1e-4  # so that one factor of nothing does not silence the others


def er_gap(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """Most by expected missed pixels of classes in need, some by entropy."""
    return _criteria(scene, seats, learned=False)


def er_gap_learned(scene: Scene, seats: int, batch: int) -> list[Criterion]:
    """As er-gap, its score corrected by what annotated tiles have taught."""
    return _criteria(scene, seats, learned=True)


def formula(scene: Scene, column: int) -> F8:
    """Return (T,) scores of a label: what a correction takes as its prior.

    (missed^a x information^b)^2α x (class entropy^c x label entropy^d)^2(1 − α), means
    per pixel, with α = ½ + balance x (precision − recall) within 0..1. A label that is
    invented more than missed has its misses where the model is undecided, and pixels
    that are merely likely say nothing; without figures α is ½.
    """
    return scene.once(f"formula {column}", lambda: _formula(scene, column))


def _formula(scene: Scene, column: int) -> F8:
    statistics, dials = scene.statistics, scene.parameters
    alpha = hunted(scene, column)
    score = np.ones(len(scene.pool))
    for exponent, sums in (
        (2 * alpha * dials.missed, scene.missed(column)),
        (2 * alpha * dials.information, statistics.class_information[:, column]),
        (2 * (1 - alpha) * dials.class_entropy, statistics.class_entropy[:, column]),
        (2 * (1 - alpha) * dials.label_entropy, statistics.label_entropy[:, column]),
    ):
        if exponent:
            score *= (np.maximum(sums, 0) / statistics.valid + _LEAST) ** exponent
    return score


def hunted(scene: Scene, column: int) -> float:
    """Return α: how far a label's misses are hunted, 0..1, instead of doubts."""
    shift = scene.parameters.balance * scene.known_needs[column].balance
    return min(1.0, max(0.0, 0.5 + shift))


def _criteria(scene: Scene, seats: int, *, learned: bool) -> list[Criterion]:
    needs, dials = scene.known_needs, scene.parameters
    controls = CONTROLS if dials.controls is None else dials.controls
    shares = (max(0.0, 1 - controls - dials.undecided), dials.undecided)
    most, undecided = largest_remainder(shares, seats) if sum(shares) else (seats, 0)
    quotas = largest_remainder([need.weight for need in needs], most)
    criteria = [
        _of_class(scene, column, quota, learned) for column, quota in enumerate(quotas)
    ]
    return [*criteria, by_entropy(scene, undecided)]


def _of_class(scene: Scene, column: int, quota: int, learned: bool) -> Criterion:
    need, missed = scene.known_needs[column], scene.missed(column)
    name = f"missed:{need.name}"

    def reason(tile: int) -> str:
        doubted = hunted(scene, column) < 0.5
        return reasons.missed(need, missed[tile], doubted, scene.novelty(tile))

    score = scene.once(name, lambda: _score(scene, column, learned, name))
    return Criterion(name, quota, score, reason, scene.parameters.diversity)


def _score(scene: Scene, column: int, learned: bool, purpose: str) -> F8:
    """Return (T,) formula / minutes^cost, −inf where nothing is expected to be missed.

    With noise the best do not come first but are drawn: score·e^(noise·Gumbel) is in
    the order of draws without replacement in proportion to score^(1/noise) (arXiv
    2106.12059); as the budget is spent the noise falls to noise x calm, geometrically
    (arXiv 2601.13677).
    """
    statistics, dials = scene.statistics, scene.parameters
    score = formula(scene, column)
    known = scene.knowledge.corrections.get(int(statistics.values[column]))
    if learned and known is not None and known.weights:
        score = known.apply(score, features(statistics, column, scene.gaps()))
    if dials.cost:
        minutes = scene.once("minutes", lambda: _minutes(scene))
        score = score / minutes**dials.cost
    if dials.noise:
        noise = dials.noise * dials.calm**scene.knowledge.spent
        luck = gumbel(scene.draws(purpose)) * noise
        score = score * np.exp(np.clip(luck, -300, 300))
    return np.where((scene.missed(column) > 0) & (score > 0), score, -np.inf)


def _minutes(scene: Scene) -> F8:
    """Return (T,) minutes that people are expected to take."""
    return scene.knowledge.cost.minutes(
        cost.parts(scene.statistics, scene.all_missed())
    )
