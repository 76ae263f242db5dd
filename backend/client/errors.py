"""What can go wrong on the client's side, each told in one plain line."""

from backend.schemas.base import Problem
from backend.schemas.job import JobView


class ClientError(Exception):
    """Base of what the client raises; its text is one line for a person."""


class ApiError(ClientError):
    """The service refused a request; `problem` is its RFC 9457 answer."""

    def __init__(self, problem: Problem) -> None:
        title = problem.title.rstrip(".")
        super().__init__(" ".join(f"{title}: {problem.detail}".split()))
        self.problem = problem

    @property
    def status(self) -> int:
        """HTTP status of the answer."""
        return self.problem.status


class ServerAway(ClientError):
    """Nobody answers at the address, or what answers is no Cisterna."""


class JobFailed(ClientError):
    """A job that was waited for ended without success; `job` says how."""

    def __init__(self, job: JobView) -> None:
        why = " ".join((job.error or job.message or "no reason was given").split())
        super().__init__(f"The {job.kind} job {job.id} is {job.state}: {why}")
        self.job = job
