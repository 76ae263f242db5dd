"""The typed Python client: `Cisterna(url, token)` speaks REST and nothing else.

    with Cisterna("http://127.0.0.1:8765", token) as service:
        image = service.images.upload("liver", Path("a.tif"), pixel_nm=4.6)
        service.images.wait(image.id)
        for task in service.tasks.claim("liver").tasks:
            service.tasks.submit(task.id, mask)
        job = service.trainings.start("liver")
        service.jobs.wait_for_round("liver", job.id)
        print(service.models.metrics("liver"))

Objects come and go as the models of backend.schemas, masks as numpy arrays.
"""

from types import TracebackType
from typing import Self

from backend.client.errors import ApiError, ClientError, JobFailed, ServerAway
from backend.client.images import Images
from backend.client.jobs import Exports, Jobs, Policies
from backend.client.models import Models, Predictions, Trainings
from backend.client.projects import People, Projects
from backend.client.queries import Queries
from backend.client.tasks import Annotations, Tasks
from backend.client.transport import Transport


class Cisterna:
    """One service as one person sees it; every noun is an attribute."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._transport = transport = Transport(url, token)
        self.url = transport.url
        self.projects = Projects(transport)
        self.people = People(transport)
        self.images = Images(transport)
        self.tasks = Tasks(transport)
        self.annotations = Annotations(transport)
        self.trainings = Trainings(transport)
        self.jobs = Jobs(transport)
        self.models = Models(transport)
        self.predictions = Predictions(transport)
        self.queries = Queries(transport)
        self.policies = Policies(transport)
        self.exports = Exports(transport)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


__all__ = ["ApiError", "Cisterna", "ClientError", "JobFailed", "ServerAway"]
