"""The training loop: schedule, progress, monitoring and checkpoints.

Steps are the unit, not epochs. Everything the loop decides follows from the step and
the seconds spent so far, which a checkpoint keeps, so a training can be cut anywhere.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from worker.nnunet import checkpoints
from worker.nnunet.device import precision
from worker.nnunet.resampling import WorkingImage
from worker.nnunet.threads import Threads
from worker.nnunet.trainer import PEAK_RATE, TileTrainer
from worker.nnunet.windows import Ensemble, bands
from worker.segmenter import Budget, Progress, SegmenterError

Emit = Callable[[Progress], None]
Scores = dict[str, float | None]

_MARKS = 10  # a training is saved and monitored at each tenth
_SAVE_SECONDS = 60.0
_REPORT_SECONDS = 2.0


@dataclass(slots=True)
class Course:
    """How far a training is."""

    step: int = 0
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)
    """One entry per monitoring: step, loss and the Dice per label."""


def rate_at(fraction: float) -> float:
    """Return the one-cycle learning rate at a fraction 0..1 of the training.

    Up along a cosine over the first tenth, then down to almost nothing (Smith and
    Topin, Super-convergence, 2018).
    """
    rise = 0.1
    if fraction < rise:
        return PEAK_RATE * (0.04 + 0.96 * (1 - math.cos(math.pi * fraction / rise)) / 2)
    fall = (fraction - rise) / (1 - rise)
    return PEAK_RATE * max(1e-3, (1 + math.cos(math.pi * min(1.0, fall))) / 2)


def fit(
    trainer: TileTrainer,
    names: tuple[str, ...],
    budget: Budget,
    folder: Path,
    emit: Emit,
    stopping: Callable[[], bool],
) -> Course | None:
    """Train to the end of the budget; resumes from the newest checkpoint in `folder`.

    Returns None when `stopping` said so: the state is saved by then.
    """
    course = _resume(trainer, folder)
    trainer.start(course.step)
    clock, threads = _Clock(course.seconds), Threads(warm_up=2)
    fraction = _fraction(course, budget)
    saved, reported, monitored = clock.seconds, -math.inf, 0.0
    paces: list[float] = []
    losses: list[float] = []
    while fraction < 1:
        began = time.monotonic()
        with threads.work():
            loss = trainer.step(rate_at(fraction))
        if not math.isfinite(loss):
            raise SegmenterError(
                f"The training lost its way at step {course.step}; it will go on from "
                "its last checkpoint.",
                retryable=True,
            )
        course.step += 1
        course.seconds = clock.seconds
        paces, losses = [*paces[-49:], time.monotonic() - began], [*losses[-49:], loss]
        before, fraction = fraction, _fraction(course, budget)
        if stopping():
            _save(trainer, course, folder)
            return None
        at_mark = int(before * _MARKS) < int(fraction * _MARKS)
        if at_mark and fraction < 1 and monitored <= 0.1 * course.seconds:
            began = time.monotonic()
            scores = monitor(trainer, names)
            monitored += time.monotonic() - began
            _note(course, losses, scores)
            emit(_progress(course, budget, fraction, paces, losses, scores))
            reported = clock.seconds
        elif clock.seconds - reported >= _REPORT_SECONDS:
            emit(_progress(course, budget, fraction, paces, losses, {}))
            reported = clock.seconds
        if at_mark or clock.seconds - saved >= _SAVE_SECONDS:
            _save(trainer, course, folder)
            saved = clock.seconds
    scores = monitor(trainer, names)
    _note(course, losses, scores)
    emit(_progress(course, budget, 1.0, paces, losses, scores))
    trainer.finish()
    return course


def monitor(trainer: TileTrainer, names: tuple[str, ...]) -> Scores:
    """Return the Dice per label on the validation tiles as `validation_dice/<label>`.

    Pixels of all tiles are pooled, unknown ones left out; None where a label occurs
    neither in the annotations nor in the predictions. Without validation tiles the
    training tiles are scored and the keys say `training_dice`.
    """
    learn, watch = trainer.get_tr_and_val_datasets()
    kind, cases = ("validation", watch) if watch.identifiers else ("training", learn)
    trainer.set_deep_supervision_enabled(False)
    patch = tuple(trainer.configuration_manager.patch_size)
    ensemble = Ensemble(
        [trainer.network], trainer.device, precision(trainer.device), flips=((),)
    )
    numbers = np.arange(1, len(names) + 1)[:, None, None]
    counts = np.zeros((3, len(names)), np.int64)
    for identifier in cases.identifiers:
        pixels, target, _, properties = cases.load_case(identifier)
        top, left, height, width = properties["tile"]
        crop = (
            slice(max(0, top - patch[0] // 2), top + height + patch[0] // 2),
            slice(max(0, left - patch[1] // 2), left + width + patch[1] // 2),
        )
        image = WorkingImage(pixels[(0, 0, *crop)], 0.0, 1.0, 1.0)
        planes = np.concatenate([*bands(ensemble, image, patch, 0.5)], axis=1)
        inside = np.s_[
            top - crop[0].start : top - crop[0].start + height,
            left - crop[1].start : left - crop[1].start + width,
        ]
        decided = planes[: len(names) + 1].argmax(axis=0)[inside]
        truth = target[0, 0, top : top + height, left : left + width]
        known = truth != trainer.label_manager.ignore_label
        said, true = (decided == numbers) & known, truth == numbers
        counts += [both.sum((1, 2)) for both in (said & true, said, true)]
    trainer.set_deep_supervision_enabled(True)
    both, said, true = counts.tolist()
    return {
        f"{kind}_dice/{name}": 2 * b / (s + t) if s + t else None
        for name, b, s, t in zip(names, both, said, true, strict=True)
    }


class _Clock:
    """Seconds spent on a training, those before an interruption included."""

    def __init__(self, before: float) -> None:
        self._start = time.monotonic() - before

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start


def _fraction(course: Course, budget: Budget) -> float:
    by_time = course.seconds / (60 * budget.minutes) if budget.minutes else 0.0
    return min(1.0, max(course.step / budget.steps, by_time))


def _resume(trainer: TileTrainer, folder: Path) -> Course:
    """Return where to go on from; refuses a checkpoint that is not of its step."""
    path = checkpoints.newest(folder)
    if path is None:
        return Course()
    found = checkpoints.load(path, trainer.device)
    if found["step"] != int(path.stem.rpartition("_")[2]) or found["step"] < 1:
        raise SegmenterError(
            "The last checkpoint does not belong to the step it is named after; "
            "train again from the start.",
            retryable=False,
        )
    trainer.restore(found["trainer"])
    return Course(found["step"], found["seconds"], found["curve"])


def _save(trainer: TileTrainer, course: Course, folder: Path) -> None:
    state = {
        "trainer": trainer.state(),
        "step": course.step,
        "seconds": course.seconds,
        "curve": course.curve,
    }
    checkpoints.save_step(state, folder, course.step)


def _note(
    course: Course, losses: list[float], scores: Mapping[str, float | None]
) -> None:
    loss = sum(losses) / len(losses) if losses else None
    course.curve.append({"step": course.step, "loss": loss, **scores})


def _progress(
    course: Course,
    budget: Budget,
    fraction: float,
    paces: list[float],
    losses: list[float],
    scores: Mapping[str, float | None],
) -> Progress:
    metrics: dict[str, float | None] = dict(scores)
    message = f"step {course.step} of at most {budget.steps}"
    if paces:
        metrics["loss"] = sum(losses) / len(losses)
        metrics["seconds_per_step"] = pace = sum(paces) / len(paces)
        message += f", {pace:.2f} s per step"
    if 0 < fraction < 1:
        left = course.seconds * (1 - fraction) / fraction
        message += f", about {_spoken(left)} left"
    return Progress(message, fraction, course.step, metrics)


def _spoken(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
