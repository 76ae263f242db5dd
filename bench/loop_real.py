"""The loop on real images: an oracle annotates the fly's nerve cord, nnU-Net learns.

    python -m bench.loop_real        (or `make loop-real`)

For each seed a project of its own; `cisterna simulate` plays the annotator in it. What
is done is kept in `data/loop-vnc` (or CISTERNA_DATA_DIR), per seed and round, so a run
that was stopped goes on where it was. The images are looked for in CISTERNA_REAL_DATA,
then in ../shared/data. Seeds that are not asked for stay in the result as they were.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend.cli.beside import on_free_port, run_beside
from backend.client import Cisterna, ClientError
from backend.domain.states import Schedule, Split
from backend.schemas.project import NewLabel, NewProject, Training
from backend.settings import Settings
from bench.beside import run_command
from bench.pictures import learning_curve
from bench.places import FOLDER, PIXEL_NM, ROOT, SPLITS, TILE, commit, data, machine

LABELS = [
    NewLabel(name="mitochondria", value=2, colour="#EE6677", priority=1.5),
    NewLabel(name="membrane", value=5, colour="#AA3377"),
]
MAP = "2=mitochondria,5=membrane"
GOALS = {"mitochondria": 0.76, "membrane": 0.82}


def main() -> int:
    """Run what is asked for; returns the exit status."""
    asked = arguments()
    source = data(asked.data)
    data_dir = Path(os.environ.get("CISTERNA_DATA_DIR") or ROOT / "data/loop-vnc")
    settings = on_free_port(Settings(data_dir=data_dir.absolute()))

    def work(service: Cisterna) -> None:
        for seed in asked.seeds:
            project = prepare(service, source, seed, asked)
            simulate(service, settings, source, project, seed, asked)
            write(settings, asked)

    return run_beside(settings, work, say)


def say(line: str) -> None:
    """Print a line as the supervisor does."""
    print(f"{'loop':>8} | {line}", flush=True)


def arguments() -> argparse.Namespace:
    """Return the command line's wishes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--tiles", type=int, default=6, help="new tiles per round")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--strategy", default="er-gap")
    parser.add_argument("--segmenter", default="nnunet", choices=["nnunet", "forest"])
    parser.add_argument("--data", type=Path, help=f"the folder {FOLDER}")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results/loop-vnc.json")
    return parser.parse_args()


def name_of(asked: argparse.Namespace, seed: int) -> str:
    """Return the name that a run's project and records share."""
    parts = (asked.strategy, asked.segmenter, asked.tiles, asked.steps, seed)
    return "vnc-" + "-".join(map(str, parts))


def prepare(
    service: Cisterna, source: Path, seed: int, asked: argparse.Namespace
) -> str:
    """Create the seed's project and its images, or find what is there of them."""
    slug = name_of(asked, seed)
    if slug not in {project.slug for project in service.projects.list()}:
        service.projects.create(
            NewProject(
                name=f"Nerve cord, seed {seed}",
                slug=slug,
                labels=LABELS,
                tile_size=TILE,
                query_size=asked.tiles,
                strategy=asked.strategy,
                # a tile that joins the validation set is not learnt, so rounds differ
                strategy_parameters={"controls": 0},
                segmenter=asked.segmenter,
                # equal steps from scratch in every round, so that rounds compare
                training=Training(
                    profile="cpu",
                    schedule=Schedule.FULL,
                    steps=asked.steps,
                    stop_at_plateau=False,
                ),
                seed=seed,
            )
        )
    for split, numbers in SPLITS.items():
        for number in numbers:
            file = source / "images" / f"stack1_{number:02}.png"
            image = service.images.upload(slug, file, pixel_nm=PIXEL_NM, split=split)
            service.images.wait(image.id)
            if split is not Split.POOL and not is_annotated(service, slug, image.id):
                labels = source / "labels" / file.name
                service.images.import_labels(image.id, labels, value_map=MAP)
        say(f"{slug}: {len(numbers)} images of split {split}")
    return slug


def is_annotated(service: Cisterna, project: str, image: Any) -> bool:
    """Whether the image's labels were imported before."""
    tiles = service.queries.tiles(project, image=image)
    return any(tile.state == "annotated" for tile in tiles)


def records_file(settings: Settings, asked: argparse.Namespace, seed: int) -> Path:
    """Return the file that `simulate` keeps a seed's rounds in."""
    return settings.data_dir / "records" / f"{name_of(asked, seed)}.json"


def simulate(
    service: Cisterna,
    settings: Settings,
    source: Path,
    project: str,
    seed: int,
    asked: argparse.Namespace,
) -> None:
    """Let the command line play the annotator: a URL, a token and nothing else."""
    out = records_file(settings, asked, seed)
    out.parent.mkdir(exist_ok=True)
    words = ["simulate", project, "--oracle", str(source / "labels"), "--map", MAP]
    words += ["--rounds", str(asked.rounds), "--tiles", str(asked.tiles)]
    words += ["--strategy", asked.strategy, "--seed", str(seed), "--out", str(out)]

    def told(line: str) -> None:
        say(f"seed {seed}: {line}")

    if run_command(service, settings, words, told):
        raise ClientError(f"The simulation of seed {seed} stopped; run this again.")


def write(settings: Settings, asked: argparse.Namespace) -> None:
    """Write the records, beside those of other seeds, and the learning curve."""
    files = [records_file(settings, asked, seed) for seed in asked.seeds]
    records = [
        r for file in files if file.exists() for r in json.loads(file.read_text())
    ]
    run = {
        "command": shlex.join(["python", "-m", "bench.loop_real", *sys.argv[1:]]),
        "commit": commit(),
        "machine": machine(),
        "seeds": sorted({record["seed"] for record in records}),
    }
    before = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    others = [r for r in before.get("records", []) if r["seed"] not in run["seeds"]]
    records = sorted([*others, *records], key=lambda r: (r["seed"], r["round"]))
    runs = [r for r in before.get("runs", []) if not {*r["seeds"]} <= {*run["seeds"]}]
    result = {"data": FOLDER, "runs": [*runs, run], "records": records}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    picture = asked.out.with_suffix(".png")
    learning_curve(records, GOALS, picture)
    say(f"wrote {asked.out} and {picture}")
    for line in means(records):
        say(line)


def means(records: Sequence[dict[str, Any]]) -> list[str]:
    """Return the mean test Dice over seeds, one line per round."""
    lines = []
    for number in sorted({record["round"] for record in records}):
        found = [record for record in records if record["round"] == number]
        shown = []
        for label in GOALS:
            dice = [record["test"][label]["dice"] or 0.0 for record in found]
            shown.append(f"{label} {sum(dice) / len(dice):.3f}")
        head = f"{found[0]['tiles']} tiles, {len(found)} seeds"
        lines.append(f"{head}: mean Dice {', '.join(shown)}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
