"""How well a score finds what a model misses: two figures that need no training.

They are measured on tiles whose every pixel is known, so they say of one model and one
pool which score would have sent the annotator to the right places.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

F8 = NDArray[np.float64]

SHARE = 0.1
"""Share of the tiles that counts as the head of a ranking."""


def capture(score: ArrayLike, missed: ArrayLike, share: float = SHARE) -> float:
    """Return the share of all missed pixels in the tiles ranked highest, 0..1.

    `score` (T,) highest first, −inf allowed for never; `missed` (T,) pixels, 0 or more.
    The head is `share` of the tiles, rounded up. Tiles of equal score have equal
    chances of its last places, so the order of the tiles does not matter. A score that
    knows nothing gets `share` on average; NaN if nothing is missed at all.
    """
    scores, pixels = _checked(score, missed)
    if not 0 < share <= 1:
        raise ValueError(f"the head of a ranking cannot be {share} of it")
    total = pixels.sum()
    if not total:
        return float("nan")
    head = int(np.ceil(share * len(scores) - 1e-9))
    last = np.sort(scores)[-head]
    above, equal = scores > last, scores == last
    places = head - int(above.sum())
    found = pixels[above].sum() + pixels[equal].mean() * places
    return float(min(1.0, found / total))


def spearman(score: ArrayLike, missed: ArrayLike) -> float:
    """Return Spearman's rank correlation of score and missed pixels, −1..1.

    Pearson's correlation of the ranks, equal values sharing their mean rank; NaN if
    either is the same for all tiles.
    """
    ranks = [rankdata(values) for values in _checked(score, missed)]
    centred = [rank - rank.mean() for rank in ranks]
    norm = float(np.sqrt(np.prod([(values**2).sum() for values in centred])))
    if not norm:
        return float("nan")
    return float(np.clip(centred[0] @ centred[1] / norm, -1, 1))


def _checked(score: ArrayLike, missed: ArrayLike) -> tuple[F8, F8]:
    """Return both as arrays of one length; NaN and negative counts are errors."""
    scores, pixels = np.asarray(score, np.float64), np.asarray(missed, np.float64)
    if scores.ndim != 1 or scores.shape != pixels.shape or not len(scores):
        raise ValueError(f"scores {scores.shape} of tiles that miss {pixels.shape}")
    if np.isnan(scores).any() or (scores == np.inf).any():
        raise ValueError("a score is not a number")
    if not np.isfinite(pixels).all() or (pixels < 0).any():
        raise ValueError("missed pixels are counts")
    return scores, pixels
