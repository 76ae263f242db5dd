"""An annotator who is simulated: a URL, a token, and an oracle to paint by.

What is done stands in the service, so a simulation that was stopped goes on where it
was.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from backend.client import Cisterna, ClientError
from backend.client.jobs import OnJob
from backend.domain.states import JobKind, ModelState
from backend.experiment.oracle import Oracle, cost
from backend.schemas.model import ModelView, NewTraining
from backend.schemas.project import ProjectView
from backend.schemas.task import AnnotationView, TaskView


@dataclass
class Simulation:
    """An annotator of one project."""

    service: Cisterna
    project: ProjectView
    oracle: Oracle
    training: NewTraining
    on_tile: Callable[[int, TaskView], None]
    """Told the number of a tile, from 1, and its task once it is submitted."""
    on_job: OnJob

    @property
    def key(self) -> str:
        """The project as the client names it."""
        return str(self.project.id)

    def play(self, wanted: int) -> ModelView:
        """Annotate until `wanted` tiles are done and train; return the version."""
        self.annotate(wanted)
        return self.trained()

    def annotate(self, wanted: int) -> None:
        """Claim and submit tiles until `wanted` are done."""
        for done in range(len(self.annotations()), wanted):
            claim = self.service.tasks.claim(self.key)
            if not claim.tasks:
                raise ClientError(f"No tile is left to claim: {claim.why_fewer}")
            task = claim.tasks[0]
            mask = self.oracle.mask(task)
            seconds = cost(mask).seconds
            self.service.tasks.submit(task.id, mask, active_seconds=seconds)
            self.on_tile(done + 1, task)

    def annotations(self) -> list[AnnotationView]:
        """Return what this annotator had accepted, oldest first, one per tile."""
        found: dict[uuid.UUID, AnnotationView] = {}
        for row in self.service.annotations.list(self.key):
            is_mine = row.author_id == self._me and not row.imported
            if is_mine and row.accepted_at and not row.retracted_at:
                found[row.tile_id] = row
        return sorted(found.values(), key=lambda row: row.created_at)

    @cached_property
    def _me(self) -> uuid.UUID:
        return self.service.people.me().id

    def trained(self) -> ModelView:
        """Return the version that learnt from everything, training it if need be."""
        job = self._under_way()
        if job is None:
            job = self.service.trainings.start(self.key, self.training).id
        made = self.service.jobs.wait_for_round(self.key, job, self.on_job)
        return self.service.models.get(made)

    def _under_way(self) -> uuid.UUID | None:
        """Return the training that has seen the newest annotation, if there is one.

        A run that was stopped had started it.
        """
        newest = next(iter(self.service.models.list(self.key)), None)
        if newest is None or newest.state is ModelState.FAILED:
            return None
        rows = self.service.annotations.list(self.key)
        learnable = (row for row in rows if row.accepted_at and not row.retracted_at)
        last = max((row.created_at for row in learnable), default=None)
        if last is not None and newest.created_at < last:
            return None
        jobs = self.service.jobs.list(self.key, kind=JobKind.TRAIN)
        return next(
            (
                job.id
                for job in islice(jobs, 10)
                if job.payload["model_version_id"] == str(newest.id)
            ),
            None,
        )
