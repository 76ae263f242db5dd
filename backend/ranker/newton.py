"""Newton's method with a line search, for the small convex fits of the ranker."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]

_STEPS, _ENOUGH = 100, 1e-9


def minimise(
    loss: Callable[[F8], float],
    derivatives: Callable[[F8], tuple[F8, F8]],
    start: F8,
) -> F8:
    """Return where a convex loss of (K,) weights is least.

    `derivatives` gives its gradient (K,) and its Hessian (K, K), positive definite.
    Steps are halved until they gain enough (Armijo), so the loss never rises.
    """
    at = start.copy()
    for _ in range(_STEPS):
        slope, bend = derivatives(at)
        step = -np.linalg.solve(bend, slope)
        gain, length, now = float(-slope @ step), 1.0, loss(at)
        if gain < _ENOUGH:
            break
        while length > 1e-10 and loss(at + length * step) > now - 1e-4 * length * gain:
            length /= 2
        at += length * step
    return at
