"""When to learn how fast, and when to end: pure functions of the budget used so far.

A training warms up, holds its rate and cools down over the last quarter. Unlike a
cosine, which must know its end from the start, the hold can end whenever the validation
loss no longer falls: the cool-down, which brings most of the quality, still follows
(warmup-stable-decay: Hu et al. 2024, arXiv 2404.06395; Hägele et al. 2024, 2405.18392).
"""

from collections.abc import Sequence
from dataclasses import dataclass

HOLD = 0.75
"""Share of a training before its cool-down."""
_LEAST = 1e-3  # of the peak: a rate of nothing would waste the last step
_EARLIEST, _GAIN, _SMOOTH = 0.3, 0.01, 3


@dataclass(frozen=True, slots=True)
class Schedule:
    """Rates of one kind of training: its peak, and its warm-up as share of the budget.

    `turn` below is the share of the budget at which the cool-down begins.
    """

    peak: float
    rise: float

    def rate(self, used: float, turn: float = HOLD) -> float:
        """Return the learning rate when the share `used` (0..1) of the budget is."""
        if used < self.rise:
            return self.peak * (0.04 + 0.96 * used / self.rise)
        if used < turn:
            return self.peak
        left = (end_of(turn) - used) / (end_of(turn) - turn)
        return self.peak * max(_LEAST, min(1.0, left))


FULL = Schedule(peak=2e-3, rise=0.05)
"""From scratch."""
QUICK = Schedule(peak=1e-3, rise=0.05)
"""On from a trained network: a rate that moves it without throwing it off."""


def end_of(turn: float) -> float:
    """Return the share of the budget at which a training that cools from `turn` ends.

    The cool-down is the same part of every training, however early it turned.
    """
    return min(1.0, turn / HOLD)


def is_plateau(losses: Sequence[tuple[float, float]]) -> bool:
    """Whether the last third of the training brought less than 1 % of the loss.

    `losses` are (share of the budget used, validation loss) in order. Single values
    jump about, so means of three are compared: the best of the last third with the best
    before. Thirds, because whatever is learnt takes ever longer; a training that turns
    here has given a further quarter of its time to find nothing.
    """
    smooth = [
        (used, sum(loss for _, loss in losses[i + 1 - _SMOOTH : i + 1]) / _SMOOTH)
        for i, (used, _) in enumerate(losses)
        if i + 1 >= _SMOOTH
    ]
    if not smooth or smooth[-1][0] < _EARLIEST:
        return False
    since = smooth[-1][0] * 2 / 3
    early = [loss for used, loss in smooth if used <= since]
    late = [loss for used, loss in smooth if used > since]
    if len(early) < _SMOOTH or len(late) < _SMOOTH:
        return False
    return min(late) > (1 - _GAIN) * min(early)
