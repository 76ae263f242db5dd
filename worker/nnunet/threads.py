"""How many threads to compute with while others use the same processors.

Threads that wait for each other spin. Alone on two processors two threads are nearly
twice as fast as one; beside another busy process they can be ten times slower. So the
number is tried out, now and then, on the work itself.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch

_TRIES = 3
_HOPELESS = 1.5  # an option this much slower than another is not tried again
_TRUSTED_SECONDS = 45.0


class Threads:
    """Chooses among one, half of and all the threads torch was started with."""

    def __init__(self, warm_up: int = 0) -> None:
        most = _at_start
        self._options = sorted({1, (most + 1) // 2, most}, reverse=True)
        self._warm_up = warm_up
        self._best = most
        self._paces: dict[int, list[float]] = {}
        self._until = -math.inf

    @contextmanager
    def work(self, amount: float = 1.0) -> Iterator[None]:
        """Work with the fastest number of threads, or with one that is being tried."""
        trying = self._next()
        torch.set_num_threads(trying or self._best)
        began = time.monotonic()
        yield
        if self._warm_up > 0:
            self._warm_up -= 1
        elif trying is not None:
            self._note(trying, (time.monotonic() - began) / amount)

    def _next(self) -> int | None:
        if len(self._options) == 1 or time.monotonic() < self._until:
            return None
        order = sorted(self._options, key=lambda n: n != self._best)
        paces = {n: median(p) for n, p in self._paces.items()}
        fastest = min(paces.values(), default=math.inf)
        for option in order:
            tried = len(self._paces.get(option, []))
            if tried < _TRIES and not paces.get(option, 0.0) > _HOPELESS * fastest:
                return option
        return None

    def _note(self, option: int, pace: float) -> None:
        self._paces.setdefault(option, []).append(pace)
        if self._next() is None:
            paces = {n: median(p) for n, p in self._paces.items()}
            self._best = min(paces, key=paces.__getitem__)
            self._until = time.monotonic() + _TRUSTED_SECONDS
            self._paces = {}


_at_start = torch.get_num_threads()
