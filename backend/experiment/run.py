"""One run: a strategy with a seed in a project of its own, round by round.

What is done stands in the run's file and in its project, so a run that was killed goes
on where it was.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from backend.domain.states import Promotion, Split
from backend.experiment.data import U1
from backend.experiment.draws import Drawn, Place, by_truth, place_of
from backend.experiment.ground import Ground
from backend.experiment.oracle import cost
from backend.experiment.plan import FULL, PLAYED, Strategy
from backend.experiment.records import Record
from backend.experiment.scene import Scene
from backend.experiment.simulation import Simulation
from backend.experiment.statistics import recall_at
from backend.schemas.model import ModelView, NewTraining
from backend.schemas.project import NewProject
from backend.schemas.task import TaskView

FLOORS = (0.8, 0.85)
"""Precisions at which recall is reported."""


@dataclass
class Run:
    """A strategy with a seed. `fixed` are tiles to annotate instead of choosing any."""

    scene: Scene
    name: str
    strategy: Strategy
    seed: int
    training_seed: int
    on_record: Callable[["Run", Record], None]
    fixed: Sequence[Place] | None = None
    records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.records = self.scene.shelf.read(self.name)

    def play(
        self, rounds: int, enough: Callable[[Record], bool] = lambda record: False
    ) -> list[Record]:
        """Play rounds 0 to `rounds`, or until one was `enough`; returns all records."""
        while len(self.records) <= rounds and not any(map(enough, self.records)):
            self.scene.check()
            _ = self._ground  # if that is a new one, all starts again
            began = time.monotonic()
            record = self._round(len(self.records))
            record["wall_seconds"] = round(time.monotonic() - began, 2)
            self.records.append(record)
            self.scene.shelf.write(self.name, self.records)
            self.on_record(self, record)
        return self.records

    def tidy(self) -> None:
        """Free what the run's project takes, if this run has worked in it."""
        if "_ground" in self.__dict__:
            self._ground.clear()

    @property
    def parameters(self) -> dict[str, float]:
        """What the service's strategy is given; nothing if the annotator chooses."""
        if not self._is_served:
            return {}
        plan = self.scene.plan
        shared = {"controls": plan.controls, "budget": float(plan.stop.most_tiles)}
        return {**shared, **self.strategy.parameters}

    @property
    def _is_served(self) -> bool:
        """Whether the service chooses tiles, for which it sweeps the pool."""
        played = self.strategy.is_played or self.strategy.name == FULL
        return not played and self.fixed is None

    @cached_property
    def _ground(self) -> Ground:
        plan, name = self.scene.plan, f"{self.scene.slug}-{self.name}"
        body = NewProject(
            name=name,
            slug=name,
            labels=plan.labels,
            tile_size=plan.tile_size,
            query_size=plan.query_size,
            strategy=self.strategy.strategy if self._is_served else "random",
            strategy_parameters=self.parameters,
            segmenter=plan.segmenter,
            training=plan.training,
            # a version that is not promoted sweeps no pool
            promotion=Promotion.AUTOMATIC if self._is_served else Promotion.MANUAL,
            seed=self.training_seed,
        )
        ground = Ground.found(self.scene, body)
        if ground.trainings > len(self.records) + 1:
            # somebody moved the records away: what was done there is of no use
            ground.clear()
            ground = Ground.found(self.scene, body)
        if ground.is_new:
            self.records = []
        return ground

    @cached_property
    def _simulation(self) -> Simulation:
        return Simulation(
            service=self.scene.service,
            project=self._ground.project,
            oracle=self,
            training=NewTraining(),
            on_tile=lambda number, task: self.scene.check(),
            on_job=lambda job: self.scene.check(),
        )

    def mask(self, task: TaskView) -> U1:
        """Return what the annotator paints in a task's tile."""
        return self.scene.painted(self._ground.places[task.tile.id], self.seed)

    def _round(self, number: int) -> Record:
        ground, simulation, plan = self._ground, self._simulation, self.scene.plan
        if self.strategy.name == FULL:
            ground.label_everything(self.seed)
            return self._record(number, simulation.trained(), [*self.scene.pool], [])
        wanted = plan.start_tiles + number * plan.query_size
        drawn = self._drawn(number)
        if drawn is not None:
            ground.ask_for([item.place for item in drawn])
        version = simulation.play(len(self.fixed or ()) or wanted)
        rows = simulation.annotations()
        done = [ground.places[row.tile_id] for row in rows]
        if drawn is None:
            chosen = ground.why(rows[-plan.query_size :])
        else:
            parts = {item.place: item.component for item in drawn}
            chosen = [
                {"tile": str(place), "component": parts[place], "reason": ""}
                for place in done[-len(drawn) :]
            ]
        return self._record(number, version, done, chosen)

    def _drawn(self, number: int) -> list[Drawn] | None:
        """Return the tiles the annotator chooses in a round; None if the service does.

        The draws of a round depend on nothing but the seed and those of rounds before.
        """
        if self.fixed is not None:
            return [Drawn(place, "repeated") for place in self.fixed]
        if number == 0:
            return [Drawn(place, "start") for place in self.scene.start(self.seed)]
        if not self.strategy.is_played:
            return None
        left = dict(self.scene.pool)
        for record in self.records:
            for item in record["chosen"]:
                del left[place_of(item["tile"])]
        share = PLAYED[self.strategy.strategy]
        return by_truth(left, share, self.scene.plan.query_size, (self.seed, number))

    def _record(
        self,
        number: int,
        version: ModelView,
        done: Sequence[Place],
        chosen: Sequence[Mapping[str, str]],
    ) -> Record:
        plan = self.scene.plan
        costs = [cost(self.scene.painted(place, self.seed)) for place in done]
        front = next(v for v, name in plan.names.items() if name == plan.priority)
        return {
            "experiment": plan.name,
            "kind": "run" if self.fixed is None else "repeat",
            "strategy": self.strategy.name,
            "seed": self.seed,
            "training_seed": self.training_seed,
            "parameters": self.parameters,
            "round": number,
            "tiles": len(done),
            "learnt": version.tiles,
            "foreground_pixels": sum(part.foreground for part in costs),
            "priority_pixels": sum(part.pixels(front) for part in costs),
            "minutes": round(sum(part.seconds for part in costs) / 60, 3),
            "test": self._figures(version),
            "steps": version.metrics.get("steps"),
            "seconds": version.metrics.get("seconds"),
            "chosen": list(chosen),
        }

    def _figures(self, version: ModelView) -> dict[str, dict[str, float | None]]:
        """Return what the test tiles say of each label."""
        curves = self.scene.service.models.precision_recall(
            self._ground.project.slug, version.id, Split.TEST
        )
        figures: dict[str, dict[str, float | None]] = {}
        for curve in curves.labels:
            row = version.quality[Split.TEST][curve.name]
            precisions = [point.precision for point in curve.points]
            recalls = [point.recall for point in curve.points]
            figures[curve.name] = {
                "ap": row.ap,
                "dice": row.dice,
                "precision": row.precision,
                "recall": row.recall,
                **{
                    f"recall_at_{floor}": recall_at(precisions, recalls, floor)
                    for floor in FLOORS
                },
            }
        return figures
