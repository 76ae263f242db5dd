"""Score: the ranker reads nothing but tile statistics and puts the pool in order."""

import json
from dataclasses import asdict

import numpy as np

from backend import ranker
from backend.domain.errors import Conflict
from backend.ranker import Pool, TileStatistics, class_needs, rank
from backend.schemas.loop import HISTOGRAMS, RankedTile, ScoreResult, ScoreWork
from backend.schemas.stored import StoredTree
from backend.storage import ArtifactStore, job_prefix
from worker.desk import Desk
from worker.segmenter import Progress, Report


def run(
    work: ScoreWork, store: ArtifactStore, report: Report, desk: Desk
) -> ScoreResult:
    """Rank the pool and store all statistics beside the head of the order."""
    if not work.images:
        raise Conflict("No image of the pool has a prediction yet.")
    parts = []
    for number, image in enumerate(work.images):
        name = "tiles.npz"
        path = desk.scratch / f"{image.image_id}.npz"
        store.fetch_file(f"{image.sweep.prefix}/{name}", path)
        parts.append(TileStatistics.load(path))
        report(Progress("Reading statistics", (number + 1) / len(work.images)))
    statistics = TileStatistics.concatenate(parts)
    ids = [tile for image in work.images for tile in image.tiles]
    pool = Pool(
        keys=tuple(str(id) for id in ids),
        images=np.repeat(
            np.arange(len(parts), dtype=np.int64), [len(part) for part in parts]
        ),
        boxes=statistics.boxes,
        excluded=np.array([id in work.excluded for id in ids], bool),
        statistics=statistics,
    )
    measured = {
        row.value: ranker.Measured(row.counts.recall, row.counts.dice, row.tiles)
        for row in work.validation
    }
    needs = class_needs(work.schema, measured)
    ranked = rank(work.strategy, pool, work.query_size, work.reserve, work.seed, needs)
    scores = ranker.scores(work.strategy, pool, work.query_size, work.seed, needs)
    spread = ranker.histograms(scores, ranked)
    folder = desk.scratch / "scores"
    folder.mkdir()
    statistics.save(folder / "tiles.npz")
    np.save(folder / "keys.npy", np.array(pool.keys))
    np.save(folder / "excluded.npy", pool.excluded)
    (folder / HISTOGRAMS).write_text(json.dumps([asdict(part) for part in spread]))
    prefix = f"{job_prefix(work.job_id, work.fence)}/scores"
    return ScoreResult(
        head=tuple(
            RankedTile(ids[r.tile], r.rank, r.score, r.component, r.parts, r.reason)
            for r in ranked
        ),
        scores=StoredTree(prefix, store.put_tree(prefix, folder)),
    )
