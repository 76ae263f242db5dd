"""What all runs of an experiment share: known images, and a first project."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from backend.client import Cisterna
from backend.domain.states import Split
from backend.experiment.data import U1, Known
from backend.experiment.draws import Place, start_set, tiles_of
from backend.experiment.oracle import painted, whole
from backend.experiment.plan import Plan
from backend.experiment.records import Shelf
from backend.schemas.project import NewProject


@dataclass(frozen=True)
class Scene:
    """The stage on which every run plays."""

    service: Cisterna
    plan: Plan
    known: Mapping[str, Known]
    """All images by name."""
    shelf: Shelf
    slug: str
    """Of the project whose images are shared."""
    check: Callable[[], None]
    """Raises if the experiment is to stop."""

    @cached_property
    def pool(self) -> dict[Place, U1]:
        """The true masks of the pool's tiles."""
        tiles: dict[Place, U1] = {}
        for known in self.known.values():
            if known.split is Split.POOL:
                grid = list(known.grid(self.plan.tile_size))
                tiles |= tiles_of(known.truth, grid, known.name)
        return tiles

    def start(self, seed: int) -> list[Place]:
        """Return the start set of a seed."""
        return start_set(self.pool, list(self.plan.names), self.plan.start_tiles, seed)

    def painted(self, place: Place, seed: int) -> U1:
        """Return what the annotator of a seed paints in a tile."""
        known = self.known[place.image]
        grid = known.grid(self.plan.tile_size)
        box = grid.box(*divmod(place.position, grid.columns))
        return painted(known.truth, box, known.name, self._noise(seed))

    def painted_whole(self, name: str, seed: int) -> U1:
        """Return what the annotator of a seed paints in all tiles of an image."""
        truth = self.known[name].truth
        return whole(truth, self.plan.tile_size, name, self._noise(seed))

    def _noise(self, seed: int) -> int | None:
        return seed if self.plan.oracle == "noisy" else None

    def upload(self) -> None:
        """Make the first project, or finish what is there of it."""
        service, plan = self.service, self.plan
        if self.slug not in {project.slug for project in service.projects.list()}:
            service.projects.create(
                NewProject(
                    name=f"Images of {plan.name}",
                    slug=self.slug,
                    labels=plan.labels,
                    tile_size=plan.tile_size,
                )
            )
        waiting = []
        with tempfile.TemporaryDirectory(prefix="cisterna-experiment-") as folder:
            for known in self.known.values():
                self.check()
                file = Path(folder) / known.name
                file.write_bytes(known.png)
                image = service.images.upload(
                    self.slug, file, pixel_nm=known.pixel_nm, split=known.split
                )
                waiting.append(image.id)
        for id in waiting:
            service.images.wait(id)
