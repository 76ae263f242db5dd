"""The curve of a training that runs: figures worth a look, few enough to send at once.

Points between two looks at the validation tiles hold nothing but a loss. They come
densely at first and ever more rarely later, and are the first to go when there are too
many, so a curve of days is as large as one of minutes.
"""

import math
import re
from collections.abc import Sequence

from worker.segmenter import Progress

Point = dict[str, object]
"""What backend.schemas.job.CurvePoint reads."""

MOST = 400
"""Points of a curve."""
SPACES = 300
"""A point without a look is at least this part of all steps after the last one."""
_LOSS = re.compile(r"(training|validation)_loss")
_DICE = re.compile(r"(training|validation)_dice/(.+)", re.DOTALL)


def extended(points: list[Point], progress: Progress) -> list[Point]:
    """Return the curve with what this progress adds; the same list if that is nothing.

    A step that comes again after an interruption takes the place of what it was, and of
    all that followed.
    """
    point = _point(progress)
    if point is None:
        return points
    step = _step(point)
    before = [old for old in points if _step(old) < step]
    if not _is_look(point) and before:
        space = (step - _step(before[0])) / SPACES
        if len(before) == len(points) and step - _step(before[-1]) < space:
            return points
    return _thinned([*before, point])


def _point(progress: Progress) -> Point | None:
    """Return what a progress says; None if it has no figure of a curve."""
    if progress.step is None:
        return None
    figures = {
        name: None if value is None or not math.isfinite(value) else value
        for name, value in progress.metrics.items()
    }
    losses = [(found[1], n) for n in figures if (found := _LOSS.fullmatch(n))]
    scores = [(found, n) for n in figures if (found := _DICE.fullmatch(n))]
    if not losses and not scores and figures.get("loss") is None:
        return None
    point: Point = {"step": progress.step, "loss": figures.get("loss")}
    if losses or scores:
        point["measured_on"] = losses[0][0] if losses else scores[0][0][1]
        point["measured_loss"] = figures[losses[0][1]] if losses else None
        point["dice"] = {found[2]: figures[name] for found, name in scores}
    return point


def _thinned(points: list[Point]) -> list[Point]:
    """Leave out every second point without a look, then, if need be, of all."""
    if len(points) <= MOST:
        return points
    plain = [point for point in points if not _is_look(point)]
    gone = {id(point) for point in _every_second(plain)}
    points = [point for point in points if id(point) not in gone]
    if len(points) <= MOST:
        return points
    gone = {id(point) for point in _every_second(points)}
    return [point for point in points if id(point) not in gone]


def _every_second(points: Sequence[Point]) -> Sequence[Point]:
    """Return every second point but the first and the last."""
    return points[1:-1:2]


def _is_look(point: Point) -> bool:
    return "measured_on" in point


def _step(point: Point) -> int:
    step = point["step"]
    assert isinstance(step, int)
    return step
