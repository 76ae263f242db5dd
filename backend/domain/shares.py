"""Shares of work that are the same however often one asks: no dice are thrown."""

import hashlib
import math
import uuid


def drawn(seed: int, id: uuid.UUID, share: float) -> bool:
    """Whether an object falls into a share (0..1) of all; a larger one keeps it."""
    digest = hashlib.sha256(f"{seed}:{id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def due(number: int, share: float) -> bool:
    """Whether the number-th object (from 1) is one of every 1 / `share`."""
    # rounded, for 30 x 0.1 is a little more than 3
    after, before = (math.floor(round(n * share, 9)) for n in (number, number - 1))
    return after > before
