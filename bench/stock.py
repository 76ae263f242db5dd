"""Stock nnU-Net on the same labels: its own commands and its own trainer.

Planning and prediction are nnU-Net's commands with their documented defaults. Training
calls the stock trainer's own steps and schedule, in a process of its own, because the
command could not be asked how good it is on the way:

    nnUNet_raw=… … python -m bench.stock PLANS --seed 0 --minutes 60 --marks FILE
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backend.domain.labels import UNKNOWN
from backend.domain.states import Split
from bench.peers import Command, run, shown
from bench.places import SPLITS, data
from bench.results import write
from bench.subjects import SCHEMA, U1, decoded, section
from bench.vnc import Cord, Place, score

BEGAN = time.monotonic()
DATASET = "Dataset001_vnc"


@dataclass
class Stock:
    """One stock nnU-Net's folders, and the commands that were run in them."""

    home: Path
    say: Callable[[str], None]
    ran: list[dict[str, Any]] = field(default_factory=list)

    @property
    def raw(self) -> Path:
        """The folder of the raw dataset."""
        return self.home / "raw" / DATASET

    def plan(self) -> float:
        """Fingerprint, plan and prepare as documented; returns the seconds."""
        words = ("nnUNetv2_plan_and_preprocess", "-d", "1", "-c", "2d")
        return self._run(*words, "--verify_dataset_integrity")

    def planned(self) -> dict[str, Any]:
        """Return what nnU-Net has planned: patch, batch and features."""
        path = self.home / "preprocessed" / DATASET / "nnUNetPlans.json"
        found = json.loads(path.read_text())["configurations"]["2d"]
        features = found["architecture"]["arch_kwargs"]["features_per_stage"]
        patch, batch = found["patch_size"], found["batch_size"]
        return {"patch": patch, "batch": batch, "features": features}

    def borrow(self, plans: Path) -> float:
        """Prepare the dataset by our plans under the name `cisterna`."""
        described = json.loads(plans.read_text())
        described |= {"dataset_name": DATASET, "plans_name": "cisterna"}
        described["configurations"]["2d"]["data_identifier"] = "cisterna_2d"
        write(self.home / "preprocessed" / DATASET / "cisterna.json", described)
        words = ("nnUNetv2_preprocess", "-d", "1", "-c", "2d")
        return self._run(*words, "-plans_name", "cisterna")

    def train(
        self, plans: str, seed: int, minutes: float, *how: str
    ) -> list[dict[str, Any]]:
        """Train with marks on the way; returns them: step, seconds and test Dice."""
        marks = self.home / f"marks-{plans}.json"
        words = ["python", "-m", "bench.stock", plans, "--seed", str(seed)]
        words += ["--minutes", str(minutes), "--marks", shown(marks), *how]
        self._run(*words)
        found: list[dict[str, Any]] = json.loads(marks.read_text())
        return found

    def predict(self, images: Sequence[Path]) -> float:
        """Predict images as documented; returns the seconds."""
        into = self.home / "images"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        for image in images:
            shutil.copyfile(image, into / f"{image.stem}_0000.png")
        out = self.home / "predicted"
        words = ("nnUNetv2_predict", "-i", shown(into), "-o", shown(out))
        return self._run(*words, "-d", "1", "-c", "2d", "-f", "all", "-device", "cpu")

    def _run(self, *words: str) -> float:
        names = ("raw", "preprocessed", "results")
        folders = {f"nnUNet_{name}": shown(self.home / name) for name in names}
        command = Command(words, folders)
        self.say(str(command))
        ran = run(command)
        self.ran.append(ran.record())
        return ran.seconds


def write_raw(cord: Cord, places: Sequence[Place], folder: Path) -> None:
    """Write the tiles as a raw dataset: whole sections, ignore where no tile lies."""
    ignore = len(SCHEMA.values) + 1
    table = np.zeros(256, np.uint8)
    table[list(SCHEMA.values)] = range(1, ignore)
    table[UNKNOWN] = ignore
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    numbers = sorted({number for number, _ in places})
    for number in numbers:
        grey, truth = cord.sections[number]
        known = np.full(truth.shape, UNKNOWN, np.uint8)
        for _, box in (place for place in places if place[0] == number):
            known[box.slices] = truth[box.slices]
        Image.fromarray(grey).save(folder / "imagesTr" / f"vnc_{number:02}_0000.png")
        Image.fromarray(table[known]).save(folder / "labelsTr" / f"vnc_{number:02}.png")
    named = enumerate(("background", *SCHEMA.names, "ignore"))
    described = {
        "channel_names": {"0": "EM"},
        "labels": {name: value for value, name in named},
        "numTraining": len(numbers),
        "file_ending": ".png",
    }
    write(folder / "dataset.json", described)


# The process that trains


def main() -> None:
    """Train the stock trainer until a goal is reached or its time is over.

    The time counts from the start of this process; measuring is left out of it, and so
    are the validation steps with which stock training ends each 250 steps.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("plans")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--marks", type=Path, required=True)
    parser.add_argument("--every-steps", type=int, default=10**9)
    parser.add_argument("--every-seconds", type=float, default=1e9)
    parser.add_argument("--goal", type=float, default=1.0, help="mean test Dice")
    asked = parser.parse_args()
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    torch.set_num_threads(os.cpu_count() or 1)  # as nnUNetv2_train does on a processor
    torch.manual_seed(asked.seed)
    np.random.seed(asked.seed)  # noqa: NPY002 - nnU-Net draws from it
    device = torch.device("cpu")
    trainer = get_trainer_from_args(
        "1", "2d", "all", plans_identifier=asked.plans, device=device
    )
    trainer.on_train_start()
    tests = [section(data(None), number) for number in SPLITS[Split.TEST]]
    marks: list[dict[str, Any]] = []
    step, apart, marked = 0, 0.0, 0.0
    while True:
        if step % trainer.num_iterations_per_epoch == 0:
            trainer.current_epoch = step // trainer.num_iterations_per_epoch
            trainer.on_train_epoch_start()
        trainer.train_step(next(trainer.dataloader_train))
        step += 1
        seconds = time.monotonic() - BEGAN - apart
        over = seconds >= 60 * asked.minutes
        due = seconds - marked >= asked.every_seconds or step % asked.every_steps == 0
        if not (over or due):
            continue
        test = measure(trainer, tests)
        marks.append({"step": step, "seconds": round(seconds, 1), "test": test})
        write(asked.marks, marks)
        print(marks[-1], flush=True)
        apart, marked = time.monotonic() - BEGAN - seconds, seconds
        if over or test["mean"] >= asked.goal:
            break
    trainer.on_train_end()  # saves the final checkpoint, ends the augmentation


def measure(trainer: Any, tests: Sequence[tuple[U1, U1]]) -> dict[str, float]:
    """Return the test Dice of a trainer's network, as nnUNetv2_predict would decide."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    trainer.set_deep_supervision_enabled(False)
    trainer.network.eval()
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    said = []
    for grey, _ in tests:
        pixels = grey[None, None].astype(np.float32)
        numbers = predictor.predict_single_npy_array(pixels, {"spacing": (999, 1, 1)})
        said.append(decoded(numbers[0], SCHEMA))
    trainer.set_deep_supervision_enabled(True)
    trainer.network.train()
    return score(said, [truth for _, truth in tests])


if __name__ == "__main__":
    main()
