"""A second round on real EM: from the last label accepted to a new order served.

    python -m bench.round        (or `make bench-round`)

Our side is the whole service over REST: an oracle annotates 12 tiles of the nerve cord,
which are learnt in full since nothing is known, and then the 6 that are served next.
The clock runs from the answer to the last submit to the first claim out of the new
order; between them lie the training that `auto` picks, the evaluation, the promotion,
the sweeps and the ranking.

The other side is stock nnU-Net on the export of the same 18 tiles: planning and
preparing, training with its own plans until it reaches our mean test Dice (looked at
every 25 steps, not counted) or its minutes are over, and predicting the images of the
pool. If it never gets there the ratio is a lower bound, `ratio_at_least`. What is done
is kept in `data/bench-round` (or CISTERNA_DATA_DIR), so a run that was stopped goes on
where it was; seeds that are not asked for stay in the result.
"""

import argparse
import json
import os
import shutil
import sys
import time
import uuid
import zipfile
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from backend.cli import valuemap
from backend.cli.beside import on_free_port, run_beside
from backend.cli.simulate import FolderOracle
from backend.client import Cisterna, ClientError
from backend.domain.states import QueryState, Split
from backend.experiment.simulation import Simulation
from backend.schemas.job import JobView
from backend.schemas.model import NewTraining
from backend.schemas.project import ProjectEdit, Training
from backend.schemas.task import TaskView
from backend.settings import Settings
from bench.loop_real import MAP, prepare
from bench.peers import RESULTS
from bench.places import ROOT, SPLITS, commit, data
from bench.results import Record, keep, write
from bench.stock import Stock

FIRST, SECOND = 12, 6
TARGET = 5.0
EVERY = 25
"""Steps of the stock trainer between two looks at its test Dice."""


def main() -> int:
    """Run what is asked for; returns the exit status."""
    asked = arguments()
    source = data(None)
    folder = Path(
        os.environ.get("CISTERNA_DATA_DIR") or ROOT / "data/bench-round" / commit()
    )
    settings = on_free_port(Settings(data_dir=folder.absolute()))
    for seed in asked.seeds:
        done = settings.data_dir / "rounds" / f"{seed}-{asked.steps}.json"
        if not done.exists():

            def work(service: Cisterna, seed: int = seed, done: Path = done) -> None:
                export = done.with_suffix(".zip")
                write(done, ours(service, source, seed, asked.steps, export))

            if status := run_beside(settings, work, say):
                return status
        # the service has ended by now: the peer has the machine to itself
        mine = json.loads(done.read_text())
        peer, export = Stock(done.with_suffix(""), say), done.with_suffix(".zip")
        goal = mine["test"]["mean"]
        theirs = stock(peer, source, export, seed, asked.minutes, goal)
        record = {"seed": seed, "ours": mine, "stock": theirs, **ratio(mine, theirs)}
        print(json.dumps(summary(keep(asked.out, record, summary)), indent=1))
    return 0


def say(line: str) -> None:
    """Print a line as the supervisor does."""
    print(f"{'round':>8} | {line}", flush=True)


def arguments() -> argparse.Namespace:
    """Return the command line's wishes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=1500, help="of the first training")
    parser.add_argument(
        "--minutes", type=float, default=60, help="of stock training at the most"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "round.json")
    return parser.parse_args()


# Our side


def ours(
    service: Cisterna,
    source: Path,
    seed: int,
    steps: int,
    export: Path,
    segmenter: str = "nnunet",
) -> Record:
    """Play both rounds; returns the seconds of the second and what came of it."""
    asked = argparse.Namespace(
        strategy="er-gap", segmenter=segmenter, tiles=SECOND, steps=steps
    )
    project = prepare(service, source, seed, asked)
    usual = ProjectEdit(training=Training(steps=steps))
    row = service.projects.edit(service.projects.get(project), usual)
    value_map = valuemap.parse(MAP, row.labels)
    oracle = FolderOracle(service, source / "labels", value_map)
    auto = NewTraining()
    told = (lambda done, task: say(f"tile {done}: {task.reason}"), lambda job: None)
    Simulation(service, row, oracle, auto, *told).play(FIRST)
    for number in range(SECOND):
        task = claim(service, project)
        annotation = service.tasks.submit(task.id, oracle.mask(task))
        say(f"second round: tile {number + 1} of {SECOND}, {task.reason}")
    accepted = time.monotonic()
    assert annotation.accepted_at is not None
    training = service.trainings.start(project, auto)
    made = service.jobs.wait_for_round(project, training.id)
    task = claim(service, project)
    seconds = time.monotonic() - accepted
    service.tasks.release(task.id)
    version = service.models.get(made)
    if version.tiles != FIRST + SECOND:
        raise ClientError(
            f"The version learnt {version.tiles} tiles: an earlier run was stopped "
            "within the round that is measured. Delete the data directory, run again."
        )
    if task.tile.id not in new_order(service, project, made):
        raise ClientError("The tile that was served is not one of the new order.")
    job = service.exports.start(project)
    service.jobs.wait(job.id)
    export.parent.mkdir(parents=True, exist_ok=True)
    service.exports.download(job.id, export)
    return {
        "seconds": round(seconds, 1),
        "parts": parts(service.jobs.list(project), made, seconds),
        "settings": version.settings,
        "steps": version.metrics.get("steps"),
        "tiles": version.tiles,
        "test": {name: row.dice for name, row in version.quality[Split.TEST].items()},
    }


def claim(service: Cisterna, project: str) -> TaskView:
    """Claim the next tile."""
    found = service.tasks.claim(project)
    if not found.tasks:
        raise ClientError(f"No tile is left to claim: {found.why_fewer}")
    return found.tasks[0]


def new_order(
    service: Cisterna, project: str, version: uuid.UUID
) -> Collection[uuid.UUID]:
    """Return the tiles of the live order, which has to be a version's."""
    queries = service.queries.list(project)
    live = next(query for query in queries if query.state is QueryState.LIVE)
    if live.model_version_id != version:
        raise ClientError("The new version was not promoted; its order is not served.")
    return {row.tile.id for row in service.queries.ranks(live.id)}


def parts(
    jobs: Iterable[JobView], version: uuid.UUID, seconds: float
) -> dict[str, float]:
    """Return the seconds of each job of a version, and of the gaps between them."""
    found: dict[str, float] = {}
    for job in jobs:
        own = job.payload.get("model_version_id") == str(version)
        if own and job.started_at and job.finished_at:
            spent = (job.finished_at - job.started_at).total_seconds()
            found[job.kind] = round(spent, 1)
    return found | {"between": round(seconds - sum(found.values()), 1)}


# The other side


def stock(
    peer: Stock, source: Path, export: Path, seed: int, minutes: float, goal: float
) -> Record:
    """Let stock nnU-Net learn the same tiles and predict the same images."""
    shutil.rmtree(peer.home, ignore_errors=True)
    unpack(export, peer)
    preparing = peer.plan()
    marks = peer.train(
        "nnUNetPlans",
        seed,
        minutes,
        *("--every-steps", str(EVERY), "--goal", str(goal)),
    )
    pool = SPLITS[Split.POOL]
    images = [source / "images" / f"stack1_{number:02}.png" for number in pool]
    predicting = peer.predict(images)
    found = {"plan_and_preprocess": preparing, "train": marks[-1]["seconds"]}
    found["predict"] = predicting
    return {
        "seconds": round(sum(found.values()), 1),
        "plans": peer.planned(),
        "parts": {name: round(seconds, 1) for name, seconds in found.items()},
        "minutes": minutes,
        "reached": marks[-1]["test"]["mean"] >= goal,
        "marks": marks,
        "commands": peer.ran,
    }


def unpack(export: Path, peer: Stock) -> None:
    """Put a project's export where stock nnU-Net looks for its raw dataset."""
    with zipfile.ZipFile(export) as archive:
        archive.extractall(peer.home / "export")
    (labelled,) = (peer.home / "export").glob("*/nnunet")
    shutil.copytree(labelled, peer.raw)


def ratio(mine: Record, theirs: Record) -> dict[str, float]:
    """Return how much longer stock nnU-Net took; a lower bound if it got nowhere near.

    Only a peer that has reached our test Dice tells the ratio itself.
    """
    name = "ratio" if theirs["reached"] else "ratio_at_least"
    return {name: round(theirs["seconds"] / mine["seconds"], 2)}


def summary(records: Sequence[Record]) -> dict[str, Any]:
    """Return what the file shows and the ratios by seed."""
    ratios = [r["ratio" if "ratio" in r else "ratio_at_least"] for r in records]
    return {
        "meaning": "seconds from the last accepted label to the first task of the new "
        "order, second round of 12 + 6 tiles, beside stock nnU-Net on the same labels",
        "ratios": ratios,
        "target": TARGET,
        "reached": min(ratios) >= TARGET,
    }


if __name__ == "__main__":
    sys.exit(main())
