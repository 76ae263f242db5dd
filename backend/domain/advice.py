"""Whether more tiles of a label are worth a person's time."""

from collections.abc import Sequence
from typing import NamedTuple

from backend.domain.metrics import Interval

ROUNDS = 3
NEW_TILES = 6
GAIN = 0.01


class Measured(NamedTuple):
    """One live round of one label on validation tiles; scores are 0..1 or None."""

    round: int
    tiles: int
    dice: float | None
    dice_interval: Interval | None
    recall: float | None
    recall_interval: Interval | None


class Advice(NamedTuple):
    """Whether a label is known well enough, None if that is not known, and why."""

    enough: bool | None
    reason: str


def advise(rounds: Sequence[Measured], target_recall: float) -> Advice:
    """Judge one label by its live rounds, oldest first.

    It is enough if the whole interval of the newest round's recall lies above its
    target, or if Dice gained less than 0.01 over three rounds with six new tiles or
    more each whose intervals have a value in common.
    """
    newest = rounds[-1] if rounds else None
    if newest is None or newest.dice is None:
        return Advice(None, "Nothing of it is measured on validation tiles yet.")
    recall = newest.recall_interval
    if recall is not None and recall.low > target_recall:
        return Advice(
            True,
            f"Its recall is {newest.recall:.3f} ({recall.low:.3f}–{recall.high:.3f}), "
            f"above the target of {target_recall:g}.",
        )
    last = _apart(rounds)
    if len(last) < ROUNDS:
        return Advice(
            None,
            f"{len(last)} live rounds had {NEW_TILES} new tiles or more each; "
            f"{ROUNDS} are needed to see whether it still gains.",
        )
    intervals = [one.dice_interval for one in last if one.dice_interval]
    scores = [one.dice for one in last if one.dice is not None]
    if len(intervals) < ROUNDS or len(scores) < ROUNDS:
        return Advice(
            None,
            "Too few validation tiles show it in one of the last "
            f"{ROUNDS} rounds to say how certain its Dice is.",
        )
    gain = scores[-1] - scores[0]
    since = f"{gain:+.3f} from round {last[0].round} to round {last[-1].round}"
    learnt = f"with {last[-1].tiles - last[0].tiles} new tiles"
    if gain >= GAIN:
        return Advice(False, f"Its Dice still moved by {since} {learnt}.")
    if max(low for low, _ in intervals) > min(high for _, high in intervals):
        return Advice(
            False, f"Its Dice moved by {since} {learnt}, by more than its intervals."
        )
    return Advice(
        True, f"Its Dice moved by {since} {learnt}, all within its intervals."
    )


def _apart(rounds: Sequence[Measured]) -> list[Measured]:
    """Return the newest rounds, oldest first, each of enough new tiles."""
    chosen: list[Measured] = []
    for one in reversed(rounds):
        if not chosen or chosen[-1].tiles - one.tiles >= NEW_TILES:
            chosen.append(one)
        if len(chosen) == ROUNDS:
            break
    return chosen[::-1]
