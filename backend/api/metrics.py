"""Metrics: Prometheus text for operators, rounds as JSON for people."""

import ipaddress
import time
from collections.abc import Iterator

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.deps import (
    DatabaseDep,
    PrincipalDep,
    SessionDep,
    SettingsDep,
    identify,
)
from backend.api.projects import Key
from backend.api.routing import PROBLEMS, guarded
from backend.db import Database
from backend.domain.errors import Forbidden
from backend.domain.states import Role
from backend.schemas.metric import MetricsView, RoundView
from backend.services import access, advice, findings, metrics, quality

router = guarded("metrics")
scrape = APIRouter(tags=["metrics"])
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class FromDatabase(Collector):
    """Reads everything at scrape, so every replica answers alike."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> list[Metric]:
        """Say nothing: the registry need not ask the database when the app starts."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all families from one transaction."""
        with self._database.unit_of_work() as session:
            yield from metrics.families(session)


class Latency:
    """ASGI middleware: seconds from a request to the start of its answer."""

    def __init__(self, app: ASGIApp, histogram: Histogram) -> None:
        self._app = app
        self._histogram = histogram

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and watch its answer begin."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        def observe(status: int) -> None:
            # the template (below /api/v1), never the path with its ids
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._histogram.labels(
                method=method, route=route, status=f"{status // 100}xx"
            ).observe(time.perf_counter() - began)

        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                observe(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if not started:  # the answer is made further out
                observe(500)
            raise


def install(app: FastAPI, database: Database) -> None:
    """Give the app its registry and start measuring requests."""
    registry = CollectorRegistry()
    registry.register(FromDatabase(database))
    histogram = Histogram(
        "cisterna_http_request_seconds",
        "Seconds from a request to the start of its answer, of this process.",
        ["method", "route", "status"],
        registry=registry,
    )
    app.state.metrics = registry
    app.add_middleware(Latency, histogram=histogram)


@scrape.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {CONTENT_TYPE_PLAIN_1_0_0: {}}},
        401: PROBLEMS[401],
        403: PROBLEMS[403],
    },
)
def prometheus(
    request: Request, database: DatabaseDep, settings: SettingsDep
) -> Response:
    """Return Prometheus text; open on loopback, elsewhere with an admin's token."""
    if not _from_this_machine(request):
        with database.unit_of_work() as session:
            if not identify(request, session, settings).is_admin:
                raise Forbidden("These figures are of all projects: an admin's token.")
    registry: CollectorRegistry = request.app.state.metrics
    return Response(generate_latest(registry), 200, media_type=CONTENT_TYPE_PLAIN_1_0_0)


def _from_this_machine(request: Request) -> bool:
    """Whether the caller sits on loopback; a proxy there speaks for somebody else."""
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(
            request.client.host if request.client else ""
        ).is_loopback
    except ValueError:
        return False


@router.get("/projects/{project}/metrics")
def project_metrics(
    project: Key, session: SessionDep, principal: PrincipalDep
) -> MetricsView:
    """Return quality, tiles and seconds of every round, oldest first."""
    row = access.project(session, principal, project, Role.VIEWER)
    rounds = metrics.rounds(session, row)
    versions = [version for version, _ in rounds]
    ids = [version.id for version in versions]
    tables = quality.of_versions(session, row, ids)
    found = findings.of_versions(session, row, ids)
    return MetricsView(
        project_id=row.id,
        live_round=metrics.live_round(versions),
        rounds=[
            RoundView.model_validate(
                {
                    "model_version_id": version.id,
                    "round": version.ordinal,
                    "state": version.state,
                    "segmenter": version.segmenter,
                    "schedule": version.settings.get("schedule"),
                    "steps": version.metrics.get("steps"),
                    "quality": tables.get(version.id, {}),
                    **effort,
                    "training_seconds": version.metrics.get("seconds"),
                    "found": found.get(version.id, {}),
                    "created_at": version.created_at,
                    "promoted_at": version.promoted_at,
                }
            )
            for version, effort in rounds
        ],
        advice=advice.by_label(session, row, rounds),
    )
