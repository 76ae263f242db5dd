"""The training loop: rates, progress, monitoring and checkpoints.

Steps are the unit, not epochs. Everything the loop decides follows from its course,
which a checkpoint keeps, so a training can be cut anywhere.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from worker.nnunet import checkpoints
from worker.nnunet.monitor import Scores, monitor
from worker.nnunet.schedule import HOLD, Schedule, end_of, is_plateau
from worker.nnunet.threads import Threads
from worker.nnunet.trainer import TileTrainer
from worker.segmenter import Budget, Progress, SegmenterError
from worker.serving import Emit

_SAVES, _SAVING = 10, 0.05
"""A training is saved at each tenth, however short, if that takes so little of its time
(a checkpoint is a dozen steps); in any case after"""
_SAVE_SECONDS = 60.0
_LOOKS, _LOOKS_FOR_PLATEAU = 10, 40
"""How often the validation tiles are looked at, if that takes at most"""
_LOOKING = 0.1
"""of the time."""
_REPORT_SECONDS = 2.0
_SLOWER = 0.3
"""Learning rates after a loss that was no number, as part of those before."""


@dataclass(slots=True)
class Course:
    """How far a training is, and what it decided on the way."""

    step: int = 0
    seconds: float = 0.0
    looking: float = 0.0
    """Seconds of these spent on the validation tiles."""
    turn: float = HOLD
    """The share of the budget at which the cool-down begins."""
    pace: float = 1.0
    """Factor on the learning rates."""
    curve: list[dict[str, Any]] = field(default_factory=list)
    """One entry per look: step, used, loss and the scores."""

    def used(self, budget: Budget) -> float:
        """Return the share of the budget that is used; of steps or minutes, whichever
        is further."""
        return max(self.step / budget.steps, self._minutes(budget))

    def ended(self, budget: Budget) -> str:
        """Return why it ended: plateau, minutes or steps."""
        if self.turn < HOLD:
            return "plateau"
        late = self._minutes(budget) > self.step / budget.steps
        return "minutes" if late else "steps"

    def _minutes(self, budget: Budget) -> float:
        return self.seconds / (60 * budget.minutes) if budget.minutes else 0.0


def fit(
    trainer: TileTrainer,
    names: tuple[str, ...],
    schedule: Schedule,
    budget: Budget,
    folder: Path,
    emit: Emit,
    stopping: Callable[[], bool],
) -> Course | None:
    """Train to the plateau or the budget's end, on from the checkpoint in `folder`.

    Returns None when `stopping` said so: the state is saved by then.
    """
    found = _resume(trainer, folder)
    course = found or Course()
    trainer.start(course.step)
    if found is None:
        _save(trainer, course, folder)
    clock, threads = _Clock(course.seconds), Threads(warm_up=2)
    recent = _Recent()
    saved, saving, reported = clock.seconds, 0.0, -math.inf
    looks = _LOOKS_FOR_PLATEAU if budget.plateau else _LOOKS
    used = course.used(budget)
    while used < (end := end_of(course.turn)):
        began = time.monotonic()
        with threads.work():
            loss = trainer.step(course.pace * schedule.rate(used, course.turn))
        if not math.isfinite(loss):
            trainer.finish()
            course = _slower(trainer, course, folder)
            used = course.used(budget)
            trainer.start(course.step)
            continue
        course.step += 1
        course.seconds = clock.seconds
        recent.add(loss, time.monotonic() - began)
        before, used = used, course.used(budget)
        due = int(before * looks) < int(used * looks) and used < end
        if due and course.looking <= _LOOKING * course.seconds:
            scores = _look(trainer, names, budget, course, recent)
            emit(_progress(course, budget, recent, scores))
            reported = clock.seconds
        elif clock.seconds - reported >= _REPORT_SECONDS:
            emit(_progress(course, budget, recent, {}))
            reported = clock.seconds
        due = int(before * _SAVES) < int(used * _SAVES)
        since = clock.seconds - saved
        if (due and saving <= _SAVING * since) or since >= _SAVE_SECONDS:
            began = time.monotonic()
            _save(trainer, course, folder)
            saved, saving = clock.seconds, time.monotonic() - began
        if stopping():
            _save(trainer, course, folder)
            trainer.finish()
            return None
    scores = _look(trainer, names, budget, course, recent)
    emit(_progress(course, budget, recent, scores))
    trainer.finish()
    return course


class _Clock:
    """Seconds spent on a training, those before an interruption included."""

    def __init__(self, before: float) -> None:
        self._start = time.monotonic() - before

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start


class _Recent:
    """Means over the last fifty steps."""

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._seconds: list[float] = []

    def add(self, loss: float, seconds: float) -> None:
        self._losses = [*self._losses[-49:], loss]
        self._seconds = [*self._seconds[-49:], seconds]

    @property
    def loss(self) -> float | None:
        return sum(self._losses) / len(self._losses) if self._losses else None

    @property
    def seconds(self) -> float | None:
        return sum(self._seconds) / len(self._seconds) if self._seconds else None


def _look(
    trainer: TileTrainer,
    names: tuple[str, ...],
    budget: Budget,
    course: Course,
    recent: _Recent,
) -> Scores:
    """Score the validation tiles, note it, and turn at the plateau.

    On the way the average network is looked at, at the end the one that is kept.
    """
    began, used = time.monotonic(), course.used(budget)
    at_end = used >= end_of(course.turn)
    scores = monitor(trainer, trainer.network if at_end else trainer.average, names)
    course.looking += time.monotonic() - began
    entry = {"step": course.step, "used": used, "loss": recent.loss, **scores}
    course.curve.append(entry)
    if budget.plateau and used < course.turn:
        losses = [
            (entry["used"], entry["validation_loss"])
            for entry in course.curve
            if entry.get("validation_loss") is not None
        ]
        if is_plateau(losses):
            course.turn = used
    return scores


def _resume(trainer: TileTrainer, folder: Path) -> Course | None:
    """Return where to go on from; refuses a checkpoint that is not of its step."""
    path = checkpoints.newest(folder)
    if path is None:
        return None
    found = checkpoints.load(path, trainer.device)
    course = Course(**found["course"])
    if course.step != int(path.stem.rpartition("_")[2]):
        raise SegmenterError(
            "The last checkpoint does not belong to the step it is named after; "
            "train again from the start.",
            retryable=False,
        )
    trainer.restore(found["trainer"])
    return course


def _slower(trainer: TileTrainer, lost: Course, folder: Path) -> Course:
    """Return the last checkpoint's course, to go on from there at lower rates, once."""
    course = _resume(trainer, folder)
    if course is None or lost.pace < 1:
        raise SegmenterError(
            f"The training lost its way at step {lost.step}, at a lower learning rate "
            "too. Look for damaged images among the annotated ones, then train again.",
            retryable=False,
        )
    course.pace, course.seconds = _SLOWER, lost.seconds
    _save(trainer, course, folder)
    return course


def _save(trainer: TileTrainer, course: Course, folder: Path) -> None:
    state = {"trainer": trainer.state(), "course": asdict(course)}
    checkpoints.save_step(state, folder, course.step)


def _progress(
    course: Course, budget: Budget, recent: _Recent, scores: Scores
) -> Progress:
    fraction = min(1.0, course.used(budget) / end_of(course.turn))
    metrics = dict(scores)
    message = f"step {course.step} of at most {budget.steps}"
    if course.turn < HOLD:
        message += ", at the plateau"
    if recent.seconds is not None:
        metrics["loss"] = recent.loss
        metrics["seconds_per_step"] = recent.seconds
        message += f", {recent.seconds:.2f} s per step"
    if 0 < fraction < 1:
        left = course.seconds * (1 - fraction) / fraction
        message += f", about {_spoken(left)} left"
    return Progress(message, fraction, course.step, metrics)


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
