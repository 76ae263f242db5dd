"""Numbers per tile: seeded draws, and the noise that turns a ranking into a lottery."""

import uuid
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
Keys = NDArray[np.uint64]


def keys_of(ids: Iterable[uuid.UUID]) -> Keys:
    """Return (T, 2) uint64, the two halves of each id."""
    raw = b"".join(id.bytes for id in ids)
    return np.frombuffer(raw, ">u8").reshape(-1, 2).astype(np.uint64)


def hashes(seed: int, purpose: str, keys: Keys) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each of (T, 2) keys: SplitMix64 (Steele et al., 2014)."""
    told = blake2b(f"{seed}\0{purpose}".encode(), digest_size=8).digest()
    state = np.uint64(int.from_bytes(told, "big"))
    return _mixed(_mixed(state ^ keys[:, 0]) ^ keys[:, 1])


def draws(seed: int, purpose: str, keys: Keys) -> F8:
    """Return one number in (0, 1) per key, as good as drawn evenly at random.

    It depends on seed, purpose and key alone, so a tile keeps its number whatever else
    is in the pool and in whatever order.
    """
    whole = (hashes(seed, purpose, keys) >> np.uint64(11)).astype(np.float64)
    return (whole + 0.5) / 2.0**53


def numbered(count: int, first: int = 0) -> Keys:
    """Return (count, 2) keys of what has no id but a number."""
    numbers = np.arange(first, first + count, dtype=np.uint64)
    return np.stack([np.zeros_like(numbers), numbers], axis=1)


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


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
