"""`cisterna simulate`: plays the annotator with an oracle, a URL and a token alone.

One round is: claim tiles, submit them from the oracle, train, wait for the evaluation
and the next order of tiles, write a record. What is done stands in the record file and
in the service, so a run that was stopped goes on where it was.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from backend.cli import valuemap
from backend.cli.images import Map, label_file
from backend.cli.projects import Project
from backend.cli.session import Session, Shown, rest
from backend.cli.tasks import read_mask
from backend.client import Cisterna, ClientError
from backend.domain.masks import apply_value_map
from backend.domain.states import Split
from backend.experiment.simulation import Simulation
from backend.schemas.model import NewTraining
from backend.schemas.project import ProjectEdit
from backend.schemas.task import TaskView

Record = dict[str, Any]
Mask = npt.NDArray[np.uint8]


@dataclass
class FolderOracle:
    """Label images that answer every tile; 255 in them is unknown."""

    service: Cisterna
    folder: Path
    value_map: Mapping[int, int]
    _whole: dict[uuid.UUID, Mask] = field(default_factory=dict)

    def mask(self, task: TaskView) -> Mask:
        """Return the task's tile, (rows, columns) uint8 values of the project."""
        image, box = task.tile.image_id, task.tile.box
        if image not in self._whole:
            self._whole[image] = self._read(image)
        return self._whole[image][box.y : box.y + box.h, box.x : box.x + box.w]

    def _read(self, id: uuid.UUID) -> Mask:
        image = self.service.images.get(id)
        file = label_file(self.folder, image.name)
        mask = read_mask(file)
        if mask.shape != (image.height, image.width):
            raise ClientError(
                f"{file} has {mask.shape[0]} x {mask.shape[1]} pixels, its image "
                f"{image.name} {image.height} x {image.width}."
            )
        return apply_value_map(mask, self.value_map)


def round_of(simulation: Simulation, number: int, wanted: int) -> Record:
    """Play one round, or what is left of it, and return its record."""
    version = simulation.play(wanted)
    test = version.quality.get(Split.TEST, {})
    if not test:
        raise ClientError(
            "The project has no annotated test images to measure by: add some with "
            "`cisterna image add --split test --labels …`."
        )
    return {
        "seed": simulation.project.seed,
        "round": number,
        "tiles": version.tiles,
        "strategy": simulation.project.strategy,
        "segmenter": version.segmenter,
        "steps": version.metrics.get("steps"),
        "seconds": version.metrics.get("seconds"),
        "test": {
            label: figures.model_dump()
            for label, figures in test.items()
            if label != "mean"
        },
    }


@rest()
def simulate(
    here: Session,
    project: Project,
    oracle: Annotated[
        Path,
        typer.Option(exists=True, file_okay=False, help="STEM.png for each image."),
    ],
    rounds: Annotated[int, typer.Option(min=1)],
    tiles: Annotated[int, typer.Option(min=1, help="New tiles per round.")],
    out: Annotated[Path, typer.Option(help="JSON file of the records.")],
    map: Map = None,
    strategy: Annotated[str | None, typer.Option(help="The ranker's.")] = None,
    seed: Annotated[int | None, typer.Option(help="The project's, to be sure.")] = None,
    segmenter: Annotated[str | None, typer.Option(help="nnunet or forest")] = None,
    steps: int | None = None,
    minutes: float | None = None,
) -> Shown:
    """Play the annotator with an oracle, and record what each round brings.

    The first tiles are those the project serves before there is a model; they, and
    everything later, are drawn from the project's own seed.
    """
    row = here.service.projects.get(project)
    if seed is not None and seed != row.seed:
        raise ClientError(
            f"{row.slug} has the seed {row.seed}, not {seed}: create a project with "
            f"--seed {seed}, since its first tiles are drawn from that."
        )
    wanted: dict[str, Any] = {"query_size": tiles, "strategy": strategy or row.strategy}
    if wanted != {name: getattr(row, name) for name in wanted}:
        row = here.service.projects.edit(row, ProjectEdit(**wanted))
    training = {"segmenter": segmenter, "steps": steps, "minutes": minutes}
    records = _read(out)
    with here.following() as on_job:
        simulation = Simulation(
            service=here.service,
            project=row,
            oracle=FolderOracle(here.service, oracle, valuemap.parse(map, row.labels)),
            training=NewTraining.model_validate(
                {name: value for name, value in training.items() if value is not None}
            ),
            on_tile=lambda done, task: here.say(f"tile {done}: {task.reason}"),
            on_job=on_job,
        )
        for number in range(len(records) + 1, rounds + 1):
            records.append(round_of(simulation, number, number * tiles))
            _write(out, records)
            here.say(summary(records[-1]))
    return None if here.as_json else f"{out}: {len(records)} rounds"


def summary(record: Record) -> str:
    """Return a record as one line."""
    dice = ", ".join(
        f"{label} {figures['dice']:.3f}" if figures["dice"] is not None else label
        for label, figures in record["test"].items()
    )
    return f"round {record['round']}: {record['tiles']} tiles, test Dice {dice}"


def _read(out: Path) -> list[Record]:
    if not out.exists():
        return []
    try:
        records = json.loads(out.read_text())
    except ValueError as error:
        raise ClientError(f"{out} is no JSON: {error}; move it away.") from error
    rounds = [record["round"] for record in records]
    if rounds != list(range(1, len(rounds) + 1)):
        raise ClientError(f"{out} holds the rounds {rounds}; move it away.")
    return records  # type: ignore[no-any-return]


def _write(out: Path, records: list[Record]) -> None:
    part = out.with_name(f"{out.name}.part")
    part.write_text(json.dumps(records, indent=1) + "\n")
    part.replace(out)
