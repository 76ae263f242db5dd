"""Numbers per tile: seeded draws, and the noise that turns a ranking into a lottery."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]


def draws(seed: int, purpose: str, keys: Sequence[str]) -> F8:
    """Return one number in (0, 1) per key, as good as drawn evenly at random.

    It depends on seed, purpose and key alone, so a tile keeps its number whatever else
    is in the pool and in whatever order.
    """
    digests = (
        blake2b(f"{seed}\0{purpose}\0{key}".encode(), digest_size=8).digest()
        for key in keys
    )
    whole = np.array([int.from_bytes(digest) for digest in digests], np.uint64)
    return ((whole >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def gumbel(uniform: F8) -> F8:
    """Turn even draws into standard Gumbel noise, −log(−log u)."""
    noise: F8 = -np.log(-np.log(uniform))
    return noise


def lottery(chances: F8, uniform: F8, sharpness: float = 1.0) -> F8:
    """Score tiles so that taking the best one after another is a weighted draw.

    With log chance + Gumbel noise / sharpness, tiles come up without replacement with
    odds chance^sharpness (Kirsch et al., arXiv 2106.12059). A chance of 0 scores −inf.
    """
    logs = np.full(chances.shape, -np.inf)
    np.log(chances, out=logs, where=chances > 0)
    return logs + gumbel(uniform) / sharpness
