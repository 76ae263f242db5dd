"""An experiment beside a service of its own.

    python -m bench.experiment experiments/vnc-forest.toml   (or `make experiment-…`)

The service runs in `data/experiments` (or CISTERNA_DATA_DIR) with as many slots as
there are workers, each computing with one thread: two runs with one thread each get
further on two cores than one run with two. Results are written to
`docs/results/experiments/<name>`; the same command again goes on where it was.
"""

import argparse
import datetime as dt
import json
import os
import shlex
import sys
from pathlib import Path

from backend.cli.beside import on_free_port, run_beside
from backend.client import Cisterna, ClientError
from backend.experiment import plan as plans
from backend.settings import Settings
from bench.beside import run_command
from bench.places import ROOT, commit, machine
from bench.results import write

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def main() -> int:
    """Run the experiment; returns the exit status."""
    asked = arguments()
    os.environ.setdefault("CISTERNA_REAL_DATA", str(ROOT.parent / "shared/data"))
    name = plans.read(asked.file).name
    out = asked.out or ROOT / "docs/results/experiments" / name
    data_dir = Path(os.environ.get("CISTERNA_DATA_DIR") or ROOT / "data/experiments")
    for variable in THREADS:
        os.environ.setdefault(variable, "1")
    settings = on_free_port(Settings(data_dir=data_dir.absolute(), slots=asked.workers))

    def work(service: Cisterna) -> None:
        note(out)
        words = ["experiment", str(asked.file), "--out", str(out)]
        words += ["--workers", str(asked.workers)]
        if run_command(service, settings, words, say):
            raise ClientError("The experiment stopped; run this again to go on.")

    return run_beside(settings, work, say)


def note(out: Path) -> None:
    """Add to `made.json` which code begins, or goes on, where and when."""
    file = out / "made.json"
    made = {
        "command": shlex.join(["python", "-m", "bench.experiment", *sys.argv[1:]]),
        "commit": commit(),
        "machine": machine(),
        "load_before": round(os.getloadavg()[0], 2),
        "began": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%MZ"),
    }
    before = json.loads(file.read_text()) if file.exists() else []
    write(file, [*before, made])


def say(line: str) -> None:
    """Print a line as the supervisor does."""
    print(f"{'experiment':>10} | {line}", flush=True)


def arguments() -> argparse.Namespace:
    """Return the command line's wishes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--workers", type=int, default=2, help="runs at once")
    parser.add_argument("--out", type=Path, help="folder of the results")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
