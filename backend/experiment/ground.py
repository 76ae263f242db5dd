"""A run's own project: its images, its tiles by place, and what is asked for in it."""

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from backend.domain.states import ImageState, ModelState, Split
from backend.experiment.data import U1
from backend.experiment.draws import Place
from backend.experiment.scene import Scene
from backend.schemas.image import ImageView
from backend.schemas.project import NewProject, ProjectView
from backend.schemas.task import AnnotationView

FREE = frozenset({"free", "open"})


@dataclass(frozen=True)
class Ground:
    """A project that shares the scene's images; `is_new` if nothing was done in it."""

    scene: Scene
    project: ProjectView
    is_new: bool

    @classmethod
    def found(cls, scene: Scene, body: NewProject) -> "Ground":
        """Return the project as it was left, or a new one.

        A project whose images were deleted is done with: then all starts again, under
        the next free slug.
        """
        service, wanted = scene.service, body.slug or body.name
        there = {project.slug: project for project in service.projects.list()}
        for number in itertools.count(1):
            slug = wanted if number == 1 else f"{wanted}-{number}"
            row = there.get(slug)
            if row is None:
                new = body.model_copy(
                    update={"name": slug, "slug": slug, "images_from": scene.slug}
                )
                return cls(scene, service.projects.create(new), is_new=True)
            ready = service.images.list(slug, state=ImageState.READY)
            if len(list(ready)) == len(scene.known):
                return cls(scene, row, is_new=False)
        raise AssertionError("counting ends at a free slug")

    @property
    def trainings(self) -> int:
        """How many rounds have been trained in the project."""
        versions = self.scene.service.models.list(self.project.slug)
        return sum(version.state is not ModelState.FAILED for version in versions)

    @cached_property
    def images(self) -> dict[str, ImageView]:
        """The project's images by name; held-out ones have their labels."""
        service, found = self.scene.service, {}
        done = {
            tile.image_id
            for tile in service.queries.tiles(self.project.slug)
            if tile.state == "annotated"
        }
        for image in service.images.list(self.project.slug):
            found[image.name] = image
            known = self.scene.known[image.name]
            if known.split is not Split.POOL and image.id not in done:
                self._label(image, known.truth)
        return found

    def _label(self, image: ImageView, mask: U1) -> None:
        self.scene.service.images.import_labels(image.id, mask, complete_for="all")

    @cached_property
    def places(self) -> dict[uuid.UUID, Place]:
        """The tiles of pool images by id, controls that left the pool included."""
        names = {image.id: name for name, image in self.images.items()}
        return {
            tile.id: Place(names[tile.image_id], tile.position)
            for tile in self.scene.service.queries.tiles(self.project.slug)
            if self.scene.known[names[tile.image_id]].split is Split.POOL
        }

    def ask_for(self, places: Sequence[Place]) -> None:
        """Ask for those of the tiles that are not in work already."""
        queries = self.scene.service.queries
        ids = {place: id for id, place in self.places.items()}
        tiles = queries.tiles(self.project.slug, split=Split.POOL)
        states = {tile.id: tile.state for tile in tiles}
        waiting = [ids[place] for place in places if states[ids[place]] in FREE]
        if waiting:
            queries.choose(self.project.slug, waiting)

    def why(self, rows: Sequence[AnnotationView]) -> list[dict[str, str]]:
        """Return why the service chose these tiles, as its Query then said."""
        queries = self.scene.service.queries
        asked = next(
            query
            for query in queries.list(self.project.slug)
            if query.created_at < rows[0].created_at
        )
        ranks = {rank.tile.id: rank for rank in queries.ranks(asked.id)}
        return [
            {
                "tile": str(self.places[row.tile_id]),
                "component": ranks[row.tile_id].component,
                "reason": ranks[row.tile_id].reason,
            }
            for row in rows
        ]

    def label_everything(self, seed: int) -> None:
        """Import what the annotator of a seed paints in all images of the pool."""
        for name, image in self.images.items():
            if self.scene.known[name].split is Split.POOL:
                self._label(image, self.scene.painted_whole(name, seed))

    def clear(self) -> None:
        """Delete the images, and with them all predictions.

        Their bytes stay, since the first project shares them; sweeps take gigabytes.
        """
        for image in self.images.values():
            self.scene.service.images.delete(image.id)
