"""Claims beside pools of a thousand to a million tiles: none may wait for the pool.

    python -m bench.claims        (or `make bench-claims`)

Each pool has a database of its own on the embedded PostgreSQL, filled by SQL. People
claim and submit over the API, in this process and without a network between. The
ranked head of each pool is stored the way the loop does it. Sizes take turns, so that
whatever else the machine does meets all of them.
"""

import argparse
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from fastapi import FastAPI
from fastapi.testclient import TestClient
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import make_url, select, text
from sqlalchemy.orm import Session

from backend.app import create_app
from backend.db import migrate
from backend.domain.states import JobKind, Lane, ModelState
from backend.embedded import EmbeddedPostgres, EmbeddedValkey, exclusive
from backend.models import Job, ModelVersion, Project, Tile, TrainingSet
from backend.schemas.loop import RankedTile, ScoreResult
from backend.schemas.stored import StoredTree
from backend.services import artifacts, jobs, orders, people, queries, starts
from backend.settings import Settings
from bench import peers

SIZES = (1_000, 10_000, 100_000, 1_000_000)
CLAIMS, TURNS = 200, 4
QUERY, EDGE, COLUMNS = 100, 64, 10
TARGETS = {"claim_p95_ratio": 1.5, "store_head_seconds": 1.0}
"""Greatest p95 of a claim beside the smallest pool's; seconds to store the head of a
million tiles. Neither may be exceeded."""

FILL = """
WITH stored AS (
  INSERT INTO artifacts (id, project_id, key, manifest, bytes)
  SELECT gen_random_uuid(), :project, 'pool/' || n, '{}', 1
  FROM generate_series(1, :images) AS n RETURNING id
), laid AS (
  INSERT INTO images (id, project_id, name, sha256, bytes, state, split, height,
    width, levels, mean, sd, pixel_source, pyramid_id, version)
  SELECT gen_random_uuid(), :project, id, id, 1, 'ready', 'pool', :side, :side, 1,
    0, 1, 'unknown', id, 1
  FROM stored RETURNING id, pyramid_id
), swept AS (
  INSERT INTO predictions (id, project_id, model_version_id, image_id, artifact_id,
    members, seconds, label_pixels)
  SELECT gen_random_uuid(), :project, :version, id, pyramid_id, 1, 1, '{}' FROM laid
)
INSERT INTO tiles (id, project_id, image_id, position, y, x, h, w, split)
SELECT gen_random_uuid(), :project, id, n, n / :columns * :edge, n % :columns * :edge,
  :edge, :edge, 'pool'
FROM laid, generate_series(0, :columns * :columns - 1) AS n
"""


@dataclass
class Pool:
    """A project with so many tiles, a live version and somebody who annotates."""

    size: int
    app: FastAPI
    client: TestClient
    project: uuid.UUID
    version: uuid.UUID
    claims: list[float] = field(default_factory=list)
    submits: list[float] = field(default_factory=list)
    stores: list[float] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def annotate(self) -> None:
        """Claim and submit a tile."""
        began = time.perf_counter()
        answer = self.client.post(f"projects/{self.project}/claims", json={})
        self.claims.append(time.perf_counter() - began)
        task = answer.raise_for_status().json()["tasks"][0]["id"]
        began = time.perf_counter()
        answer = self.client.post(
            f"tasks/{task}/annotations", content=bytes(EDGE * EDGE)
        )
        answer.raise_for_status()
        self.submits.append(time.perf_counter() - began)

    def forget(self) -> None:
        """Drop what was timed so far: it was to warm up."""
        for times in (self.claims, self.submits, self.stores):
            times.clear()

    def store_head(self) -> None:
        """Conclude a ranking, as a worker would, and time it."""
        with self.app.state.database.unit_of_work() as session:
            tiles = self._free(session)
            job = self._job(session)
        head = [
            RankedTile(
                tile_id=tile,
                rank=rank,
                score=1 / rank,
                component="missed:ER",
                parts={"missed:ER": 1 / rank, "entropy": 0.1, "boundary": 300.0},
                reason="about 300 ER pixels probably missed here (7.3 % of the tile)",
            )
            for rank, tile in enumerate(tiles, start=1)
        ]
        result = ScoreResult(tuple(head), StoredTree(f"jobs/{job}/scores", {}))
        began = time.perf_counter()
        with self.app.state.database.unit_of_work() as session:
            queries.conclude(session, session.get_one(Job, job), result)
        self.stores.append(time.perf_counter() - began)

    def gather(self) -> float:
        """Return the seconds that gathering what the ranker needs takes."""
        with self.app.state.database.unit_of_work() as session:
            job = self._job(session)
        began = time.perf_counter()
        with self.app.state.database.unit_of_work() as session:
            work = queries.prepare(session, session.get_one(Job, job))
        assert sum(len(image.tiles) for image in work.images) == self.size
        return time.perf_counter() - began

    def start(self) -> float:
        """Return the seconds that an order without a model takes."""
        began = time.perf_counter()
        with self.app.state.database.unit_of_work() as session:
            row = session.get_one(Project, self.project)
            assert starts.make(session, row) is not None
        return time.perf_counter() - began

    def _free(self, session: Session) -> Sequence[uuid.UUID]:
        """Return a head's worth of tiles that nobody was asked for."""
        taken = orders.excluded(session, self.project)
        found = session.scalars(
            select(Tile.id)
            .where(Tile.project_id == self.project, Tile.id.not_in(taken))
            .limit(QUERY * (1 + orders.RESERVE))
        )
        return found.all()

    def _job(self, session: Session) -> uuid.UUID:
        payload: dict[str, object] = {"model_version_id": str(self.version)}
        job = jobs.enqueue(
            session, JobKind.SCORE, Lane.CPU, payload, project_id=self.project
        )
        return job.id


def main() -> int:
    """Measure every size; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--claims", type=int, default=CLAIMS)
    parser.add_argument("--out", type=Path, default=peers.RESULTS)
    asked = parser.parse_args()
    peers.ends_on_sigterm()
    facts = peers.facts(seed=0)
    with services() as (postgres, valkey, folder):
        found = measure(postgres, valkey, folder, asked.sizes, asked.claims)
    peers.publish("claims", summary(found) | facts, asked.out)
    return 0


@contextmanager
def services() -> Iterator[tuple[str, str, Path]]:
    """Run PostgreSQL and Valkey in a folder that is gone afterwards."""
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="cisterna-claims-"))
        )
        stack.enter_context(exclusive(folder))
        postgres, valkey = EmbeddedPostgres(folder), EmbeddedValkey(folder)
        for server in (postgres, valkey):
            stack.callback(server.stop)
            server.start()
        yield postgres.url, valkey.url, folder


def measure(
    postgres: str, valkey: str, folder: Path, sizes: Sequence[int], claims: int
) -> list[dict[str, Any]]:
    """Return the figures of each size, in their order."""
    with ExitStack() as stack:
        pools = [
            stack.enter_context(filled(postgres, valkey, folder / str(size), size))
            for size in sizes
        ]
        for turn in range(-1, TURNS):  # the first one warms up
            for pool in pools:
                pool.store_head()
            for _ in range(-(-claims // TURNS)):
                for pool in pools:
                    pool.annotate()
            if turn < 0:
                for pool in pools:
                    pool.forget()
        for pool in pools:
            pool.figures["gather_seconds"] = round(pool.gather(), 3)
            pool.figures["start_seconds"] = round(pool.start(), 3)
        return [figures(pool, pools[0]) for pool in pools]


@contextmanager
def filled(postgres: str, valkey: str, folder: Path, size: int) -> Iterator[Pool]:
    """Serve a database with a project of so many tiles, and drop it afterwards."""
    name = f"pool_{size}"
    plain = make_url(postgres).set(drivername="postgresql")
    command = sql.SQL("{} DATABASE {}")

    def on_server(verb: str) -> None:
        address = plain.render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(command.format(sql.SQL(verb), sql.Identifier(name)))

    on_server("CREATE")
    url = make_url(postgres).set(database=name).render_as_string(hide_password=False)
    migrate(url)
    settings = Settings(
        database_url=SecretStr(url), broker_url=SecretStr(valkey), data_dir=folder
    )
    app = create_app(settings)
    with TestClient(app):
        with app.state.database.unit_of_work() as session:
            people.ensure_admin(session, settings.admin_token_file)
        token = settings.admin_token_file.read_text().strip()
        client = TestClient(
            app,
            base_url="http://testserver/api/v1/",
            headers={"Authorization": f"Bearer {token}"},
        )
        yield _fill(size, app, client)
    on_server("DROP")


def _fill(size: int, app: FastAPI, client: TestClient) -> Pool:
    images = images_of(size)
    body = {
        "name": "Pool",
        "preset": "liver",
        "tile_size": EDGE,
        "query_size": QUERY,
    }
    made = client.post("projects", json=body).raise_for_status().json()
    project = uuid.UUID(made["id"])
    began = time.perf_counter()
    with app.state.database.unit_of_work() as session:
        learnt = TrainingSet(project_id=project)
        session.add(learnt)
        session.flush()
        weights = artifacts.add_tree(session, project, StoredTree("models/none", {}))
        version = ModelVersion(
            project_id=project,
            ordinal=1,
            segmenter="forest",
            state=ModelState.LIVE,
            training_set_id=learnt.id,
            artifact_id=weights.id,
        )
        session.add(version)
        session.flush()
        session.execute(text("SET LOCAL statement_timeout = 0"))
        session.execute(
            text(FILL),
            {
                "project": project,
                "version": version.id,
                "images": images,
                "columns": COLUMNS,
                "edge": EDGE,
                "side": COLUMNS * EDGE,
            },
        )
    with app.state.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("ANALYZE"))
    print(f"{size} tiles in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return Pool(size, app, client, project, version.id)


def images_of(size: int) -> int:
    """Return how many images a pool of so many tiles has."""
    per_image = COLUMNS * COLUMNS
    if size % per_image:
        raise SystemExit(f"A pool has {per_image} tiles per image; {size} do not fit.")
    return size // per_image


def figures(pool: Pool, smallest: Pool) -> dict[str, Any]:
    """Return a pool's latencies in milliseconds, and beside the smallest pool's."""
    return {
        "tiles": pool.size,
        "claims": len(pool.claims),
        "claim_ms": _spread(pool.claims),
        "submit_ms": _spread(pool.submits),
        "claim_p50_ratio": _ratio(pool, smallest, 50),
        "claim_p95_ratio": _ratio(pool, smallest, 95),
        "head_tiles": QUERY * (1 + orders.RESERVE),
        "store_head_seconds": round(float(np.median(pool.stores)), 3),
        **pool.figures,
    }


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    return {
        f"p{q}": round(1000 * float(np.percentile(seconds, q)), 2) for q in (50, 95)
    }


def _ratio(pool: Pool, smallest: Pool, q: int) -> float:
    mine, base = np.percentile(pool.claims, q), np.percentile(smallest.claims, q)
    return round(float(mine / base), 3)


def summary(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the worst ratio first, and whether the targets are reached."""
    worst = max(pool["claim_p95_ratio"] for pool in found)
    values = {
        "claim_p95_ratio": worst,
        "store_head_seconds": found[-1]["store_head_seconds"],
    }
    reached = {name: values[name] <= limit for name, limit in TARGETS.items()}
    return {
        "ratio": worst,
        "of": "the p95 of a claim over the API, the worst pool beside the smallest",
        "targets": TARGETS,
        "reached_each": reached,
        "reached": all(reached.values()),
        "pools": list(found),
    }


if __name__ == "__main__":
    sys.exit(main())
