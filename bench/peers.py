"""Stock nnU-Net's commands beside ours: run, timed, weighed and written down."""

import argparse
import datetime as dt
import importlib.metadata
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from bench.places import ROOT, commit, machine
from bench.subjects import U1

RESULTS = ROOT / "docs/results"
STOCK = "Dataset001_cisterna/nnUNetTrainer__nnUNetPlans__2d"
SAMPLE_SECONDS = 0.2


def ends_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, and with it what it has started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class PeerError(Exception):
    """A command of a bench failed; the text ends with what it printed last."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command line and what it needs in its environment."""

    words: tuple[str, ...]
    environment: Mapping[str, str]

    def __str__(self) -> str:
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        return " ".join([*settings, shlex.join(self.words)])


@dataclass(frozen=True, slots=True)
class Run:
    """What a command took; `peak` is in bytes and None if nobody weighed it.

    `cpu_seconds` are those of all its processes: they tell when others were in the way.
    """

    command: str
    seconds: float
    cpu_seconds: float
    peak: int | None

    def record(self) -> dict[str, Any]:
        """Return the figures as they are written down."""
        found: dict[str, Any] = {"command": self.command}
        found["seconds"] = round(self.seconds, 2)
        found["cpu_seconds"] = round(self.cpu_seconds, 2)
        if self.peak is not None:
            found["peak_pss_mib"] = round(self.peak / 2**20)
        return found


def folder_of_images(images: Mapping[str, U1], folder: Path) -> Path:
    """Write images as nnU-Net's input, one PNG per case, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in images.items():
        Image.fromarray(pixels).save(folder / f"{name}_0000.png", compress_level=1)
    return folder


def stock_predict(model: Path, source: Path, into: Path, *, mirror: bool) -> Command:
    """Return `nnUNetv2_predict` with its documented defaults, on the processor.

    The model's folder is linked to where the command looks for it.
    """
    home = into.with_name(into.name + "-folders")
    place = home / "results" / STOCK
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink():
        place.symlink_to(model.absolute())
    words = ["nnUNetv2_predict", "-i", shown(source), "-o", shown(into)]
    words += ["-d", "1", "-c", "2d", "-f", "0", "-device", "cpu"]
    words += [] if mirror else ["--disable_tta"]
    names = ("raw", "preprocessed", "results")
    return Command(tuple(words), {f"nnUNet_{n}": shown(home / n) for n in names})


def our_predict(model: Path, source: Path, into: Path, *, mirror: bool) -> Command:
    """Return our side of `stock_predict`: a cold start, a sweep, files."""
    words = ["python", "-m", "bench.predict", "-i", shown(source), "-o", shown(into)]
    words += ["-m", shown(model)]
    words += [] if mirror else ["--disable_tta"]
    return Command(tuple(words), {})


def run(command: Command, *, weigh: bool = False) -> Run:
    """Run a command from the project's folder, on all processors; weigh it if asked.

    Raises PeerError if it fails.
    """
    words = [_executable(command.words[0]), *command.words[1:]]
    threads = ("OMP_NUM_THREADS", "nnUNet_def_n_proc", "nnUNet_n_proc_DA")
    inherited = {k: v for k, v in os.environ.items() if k not in threads}
    began, spent = time.monotonic(), _cpu_seconds_of_children()
    with subprocess.Popen(
        words,
        cwd=ROOT,
        env={**inherited, **command.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            with peak(process.pid) if weigh else _no_peak() as weight:
                output, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        seconds = time.monotonic() - began
    if process.returncode:
        raise PeerError(f"{command} failed:\n{output[-2000:]}")
    cpu_seconds = _cpu_seconds_of_children() - spent
    return Run(str(command), seconds, cpu_seconds, max(weight) if weigh else None)


def _cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def peak(root: int, *, itself: bool = True) -> Iterator[list[int]]:
    """Sample the summed PSS in bytes of a process and all that descend from it.

    Proportional set size counts memory that processes share once. Without `itself` only
    the descendants count.
    """
    samples: list[int] = [0]
    over = threading.Event()

    def sample() -> None:
        ended = False
        while not ended:  # at the start, at the end and in between
            processes = [*descendants(root), *([root] if itself else [])]
            samples.append(sum(map(pss, processes)))
            ended = over.wait(SAMPLE_SECONDS)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


@contextmanager
def _no_peak() -> Iterator[list[int]]:
    yield []


def descendants(root: int) -> Iterator[int]:
    """Yield the ids of all processes that descend from a process."""
    with suppress(OSError):
        for task in Path(f"/proc/{root}/task").glob("*/children"):
            for word in task.read_text().split():
                yield int(word)
                yield from descendants(int(word))


def pss(process: int) -> int:
    """Return the proportional set size of a process in bytes, 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def facts(seed: int) -> dict[str, Any]:
    """Return what a reader needs to make the figures again."""
    versions = {name: importlib.metadata.version(name) for name in VERSIONS}
    main = sys.modules["__main__"].__spec__
    words = ["-m", main.name] if main else [Path(sys.argv[0]).name]
    return {
        "command": shlex.join(["python", *words, *sys.argv[1:]]),
        "commit": commit(),
        "machine": machine() | versions,
        "load_before": round(os.getloadavg()[0], 2),
        "seed": seed,
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%MZ"),
    }


VERSIONS = ("torch", "nnunetv2", "numpy")


def arguments(description: str, parts: Sequence[str]) -> argparse.Namespace:
    """Return the wishes of the command line of a bench that runs in parts."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--parts", nargs="+", choices=parts, help="all by default")
    parser.add_argument("--data", type=Path, help="the folder of the nerve cord")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def earlier(name: str, out: Path) -> dict[str, Any]:
    """Return the parts that earlier runs of a bench have written."""
    path = out / f"bench-{name}.json"
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())["parts"]
    return found


def publish(name: str, result: Mapping[str, Any], out: Path) -> None:
    """Print a bench's result and write it into the folder `out`."""
    found = {"bench": name, **result}
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1)
    (out / f"bench-{name}.json").write_text(text + "\n")
    print(text, flush=True)


def shown(path: Path) -> str:
    """Return a path as the command lines show it: from the project's folder."""
    full = path.absolute()
    return str(full.relative_to(ROOT) if full.is_relative_to(ROOT) else full)


def only(parts: Sequence[str], asked: Sequence[str] | None) -> list[str]:
    """Return the parts asked for, all if none are named."""
    return [part for part in parts if not asked or part in asked]


def _executable(name: str) -> str:
    if name == "python":
        return sys.executable
    return str(Path(sys.executable).with_name(name))
