"""A whole experiment: its runs in order, several at once, on from where they were."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from backend.client import Cisterna, ClientError
from backend.experiment import gallery
from backend.experiment.data import known_images
from backend.experiment.draws import place_of
from backend.experiment.plan import FULL, Folder, Plan, Strategy
from backend.experiment.records import Record, Shelf, replace
from backend.experiment.run import Run
from backend.experiment.scene import Scene

REPEAT = "repeat"
REPEATED_SEEDS = 1_000_003
"""Seeds of trainings on the same labels begin here, away from those of runs."""
PATIENCE = 0.2
"""Seconds between two looks at the keyboard."""


class Stopped(Exception):
    """The person at the keyboard wants it to end."""


@dataclass
class Experiment:
    """All runs of a plan, `workers` at once."""

    service: Cisterna
    plan: Plan
    folder: Path
    workers: int
    say: Callable[[str], None]
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Shelf:
        """Run what is not finished; returns the records.

        Ceilings come first, then the baseline, since it says how long all others run,
        then one strategy after another: what is finished can be compared at once.
        """
        shelf = Shelf(self.folder)
        _keep(self.plan, self.folder)
        known = {image.name: image for image in known_images(self.plan)}
        self.scene = Scene(
            service=self.service,
            plan=self.plan,
            known=known,
            shelf=shelf,
            slug=f"x-{self.plan.name}-{self.plan.digest}",
            check=self._check,
        )
        self.board = Board(self.say, self.workers, self.plan.priority)
        try:
            self.scene.upload()
            self._all()
        except KeyboardInterrupt:
            self._stop.set()
            self.say("stopped; the same command goes on from here")
            raise
        return shelf

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _all(self) -> None:
        plan = self.plan
        full = Strategy.model_construct(name=FULL, strategy=FULL)
        baseline = next(s for s in plan.strategies if s.name == plan.baseline)
        others = [s for s in plan.strategies if s is not baseline]
        ceilings = [self._made(full, seed) for seed in plan.seeds]
        firsts = [self._made(baseline, seed) for seed in plan.seeds]
        rest = [self._made(s, seed) for s in others for seed in plan.seeds]
        runs = [*firsts, *rest]
        self.board.expect(ceilings, 0)
        self.board.expect(runs, plan.rounds)
        self._together(ceilings, lambda run: self._finish(run, 0))
        enough = self._enough(ceilings)
        self._together(firsts, lambda run: run.play(plan.rounds, enough))
        rounds = max(len(run.records) for run in firsts) - 1
        self.board.expect(runs, rounds)
        self._together(runs, lambda run: self._finish(run, rounds))
        repeats = self._repeats(runs)
        self.board.expect(repeats, 0)
        self._together(repeats, lambda run: self._finish(run, 0))

    def _finish(self, run: Run, rounds: int) -> None:
        run.play(rounds)
        run.tidy()

    def _made(self, strategy: Strategy, seed: int) -> Run:
        run = Run(
            scene=self.scene,
            name=f"{strategy.name}-{seed}",
            strategy=strategy,
            seed=seed,
            training_seed=seed,
            on_record=self._recorded,
        )
        if run.records and run.records[0]["parameters"] != run.parameters:
            raise ClientError(
                f"{self.scene.shelf.file(run.name)} was made with other parameters; "
                "give the variant another name, or move the file away."
            )
        return run

    def _repeats(self, runs: Sequence[Run]) -> list[Run]:
        """Return trainings on the same labels: the first seed's first and last sets."""
        first = self.plan.seeds[0]
        sets = {"start": self.scene.start(first)}
        for run in runs:
            if run.seed == first:
                chosen = [item for record in run.records for item in record["chosen"]]
                sets[run.strategy.name] = [place_of(item["tile"]) for item in chosen]
        return [
            Run(
                scene=self.scene,
                name=f"{REPEAT}-{name}-{first}-{len(tiles)}-{number}",
                strategy=Strategy.model_construct(name=name, strategy=name),
                seed=first,
                training_seed=REPEATED_SEEDS + number,
                on_record=self._recorded,
                fixed=tiles,
            )
            for name, tiles in sets.items()
            for number in range(self.plan.repeats)
        ]

    def _enough(self, ceilings: Sequence[Run]) -> Callable[[Record], bool]:
        """Return what says that a baseline run has come far enough."""
        until = self.plan.stop.until
        if until is None:
            return lambda record: False
        label = self.plan.priority
        tops = [run.records[0]["test"][label]["ap"] or 0.0 for run in ceilings]
        goal = until * sum(tops) / len(tops)
        return lambda record: (record["test"][label]["ap"] or 0.0) >= goal

    def _recorded(self, run: Run, record: Record) -> None:
        self.board.tell(run, record)
        if record["seed"] == self.plan.seeds[0] and record["round"] == 1:
            picture = gallery.sheet(self.scene, record)
            replace(self.folder / "gallery" / f"{record['strategy']}.png", picture)

    def _together(self, runs: Sequence[Run], work: Callable[[Run], object]) -> None:
        """Work on all runs, some at once; one that fails lets the others go on."""
        failed: list[str] = []
        with ThreadPoolExecutor(self.workers) as pool:
            waiting = {pool.submit(work, run): run for run in runs}
            try:
                left = set(waiting)
                while left:
                    done, left = wait(left, PATIENCE, FIRST_COMPLETED)
                    for future in done:
                        error = future.exception()
                        if isinstance(error, ClientError):
                            failed.append(f"{waiting[future].name}: {error}")
                            self.say(failed[-1])
                        elif error is not None:
                            raise error
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        if failed:
            raise ClientError(
                f"{len(failed)} runs stopped, the first is {failed[0]} Run the command "
                "again: what is finished is kept."
            )


class Board:
    """Tells of every finished round, how many are left, and how long they take."""

    def __init__(self, say: Callable[[str], None], workers: int, label: str) -> None:
        self._say, self._workers, self._label = say, workers, label
        self._lock = threading.Lock()
        self._expected: dict[str, int] = {}
        self._seconds: list[float] = []
        self._done: dict[str, int] = {}

    def expect(self, runs: Sequence[Run], rounds: int) -> None:
        """Count on these runs going to round `rounds`."""
        with self._lock:
            for run in runs:
                self._expected[run.name] = rounds + 1
                self._done[run.name] = len(run.records)

    def tell(self, run: Run, record: Record) -> None:
        """Say a finished round in one line."""
        with self._lock:
            self._seconds.append(record["wall_seconds"])
            self._done[run.name] = len(run.records)
            total = sum(self._expected.values())
            done = sum(min(self._done.get(n, 0), m) for n, m in self._expected.items())
            recent = self._seconds[-50:]
            pace = sum(recent) / len(recent) / self._workers
            ap = record["test"][self._label]["ap"]
            shown = "none" if ap is None else f"{ap:.3f}"
            self._say(
                f"[{done} of {total} rounds, {_span(pace * (total - done))} left] "
                f"{run.name}, "
                f"round {record['round']}: {record['tiles']} tiles, "
                f"{self._label} AP {shown}, {record['wall_seconds']:.0f} s"
            )


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _keep(plan: Plan, folder: Path) -> None:
    """Write the plan beside its results; refuse those of one that does not compare."""
    file = folder / "plan.json"
    if file.exists():
        before = Plan.model_validate_json(file.read_text())
        if before.digest != plan.digest:
            raise ClientError(
                f"{folder} holds results of another data set, training or oracle; give "
                "--out another folder."
            )
    kept = plan.model_copy(deep=True)
    if isinstance(kept.data, Folder):
        kept.data.folder = Path(kept.data.folder.name)
    replace(file, f"{kept.model_dump_json(indent=1)}\n".encode())


def kept_plan(folder: Path) -> Plan:
    """Read the plan that lies beside results."""
    try:
        return Plan.model_validate_json((folder / "plan.json").read_text())
    except (OSError, ValueError) as error:
        raise ClientError(f"{folder} holds no results of an experiment.") from error
