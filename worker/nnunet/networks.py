"""The networks of one training: each is learnt once, however often it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2.paths import nnUNet_preprocessed

from worker.nnunet import checkpoints, weights
from worker.nnunet.dataset import Dataset
from worker.nnunet.loop import Course, fit
from worker.nnunet.model import DESCRIPTION, read_json, warm_weights, write_json
from worker.nnunet.planner import DATASET
from worker.nnunet.schedule import FULL, QUICK, Schedule
from worker.nnunet.team import Task, gathered
from worker.nnunet.trainer import TileTrainer
from worker.segmenter import Budget, SegmenterError, TrainingData
from worker.serving import Emit

_COURSE = "course.json"


@dataclass(frozen=True, slots=True)
class Ready:
    """What all networks of a training share."""

    plans: dict[str, Any]
    described: dict[str, Any]
    dataset: Dataset
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Run:
    """A training that makes networks one by one, and what is asked of each."""

    data: TrainingData
    into: Path
    start_from: Path | None
    budget: Budget
    ready: Ready
    smaller: bool
    devices: int

    @property
    def schedule(self) -> Schedule:
        """From scratch, or from another version on."""
        return FULL if self.start_from is None else QUICK

    def network(
        self, number: int, dataset: Dataset, emit: Emit, stopping: Callable[[], bool]
    ) -> dict[str, Any] | None:
        """Train one network and return its course, or the one it had; None if stopped.

        The course is written first: the checkpoint says that the training has ended.
        """
        fold = self.into / f"fold_{number}"
        if checkpoints.is_whole(fold / checkpoints.FINAL):
            return read_json(fold / _COURSE)
        task = self._task(number, dataset)
        trainer, names = task.trainer(self.devices), self.data.schema.names
        if self.start_from is not None:
            _warm(trainer, self.start_from, self.data.schema.values)
        beside = Path(nnUNet_preprocessed).parent / f"team_{number}"
        with gathered(trainer, task, self.devices, beside):
            course = fit(
                trainer, names, self.schedule, self.budget, fold, emit, stopping
            )
        if course is None:
            return None
        told = _told(course, self.budget, trainer, names)
        write_json(fold / _COURSE, told)
        weights.save(trainer.network.state_dict(), fold / weights.FILE)
        checkpoints.save(trainer.inference_state(), fold / checkpoints.FINAL)
        checkpoints.clear_steps(fold)
        return told

    def _task(self, number: int, dataset: Dataset) -> Task:
        learn, watch = (dataset.identifiers(learnt=value) for value in (True, False))
        splits = Path(nnUNet_preprocessed) / DATASET / "splits_final.json"
        write_json(splits, [{"train": learn, "val": watch}])
        data = self.data
        numbers = {value: n for n, value in enumerate(data.schema.values, start=1)}
        return Task(
            self.ready.plans,
            self.ready.described,
            dataset,
            data.seed + number,
            emphasis={
                numbers[value]: share
                for value, share in data.emphasis.items()
                if value in numbers
            },
            fresh=data.fresh if self.start_from else frozenset(),
            smaller=self.smaller,
        )


def _told(
    course: Course, budget: Budget, trainer: TileTrainer, names: tuple[str, ...]
) -> dict[str, Any]:
    """Return what a network's training says of itself."""
    patches = max(1, trainer.shown.total())
    labels = dict(zip(names, range(1, len(names) + 1), strict=True))
    return {
        "steps": course.step,
        "seconds": round(course.seconds, 1),
        "ended": course.ended(budget),
        "slower": course.pace < 1,
        "samples": {
            "anywhere": round(trainer.shown[0] / patches, 4),
            **{n: round(trainer.shown[i] / patches, 4) for n, i in labels.items()},
        },
        "samples_fresh": round(trainer.shown_fresh / patches, 4),
        "last": course.curve[-1],
        "curve": course.curve,
        "batch": trainer.batch_size * trainer.members,
        "device": trainer.device.type,
    }


def _warm(trainer: TileTrainer, start_from: Path, values: tuple[int, ...]) -> None:
    """Start from another model's weights, label by label."""
    path = start_from / "fold_0" / weights.FILE
    if not path.exists():
        raise SegmenterError(
            "The model to start from has no finished weights; start without it.",
            retryable=False,
        )
    trained = weights.load(path, trainer.device)
    before = read_json(start_from / DESCRIPTION)["values"]
    fresh = trainer.network.state_dict()
    trainer.network.load_state_dict(warm_weights(fresh, trained, values, before))
