"""Score: the ranker reads tile statistics and what is known beside them, no image."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend import ranker
from backend.domain.errors import Conflict
from backend.ranker import (
    Correction,
    Knowledge,
    Lesson,
    Parameters,
    Pool,
    Scene,
    TileStatistics,
    class_needs,
    fit_correction,
    fit_cost,
    fit_platt,
    keys_of,
)
from backend.ranker.asked import asked
from backend.ranker.cost import PARTS as COST_PARTS
from backend.ranker.learned import PARTS
from backend.schemas.loop import (
    ASKED,
    HISTOGRAMS,
    KNOWLEDGE,
    LessonOfTile,
    LessonsOfTile,
    RankedTile,
    ScoreResult,
    ScoreWork,
)
from backend.schemas.stored import StoredTree
from backend.storage import ArtifactStore, job_prefix
from worker import lessons
from worker.desk import Desk
from worker.segmenter import Progress, Report


def run(
    work: ScoreWork, store: ArtifactStore, report: Report, desk: Desk
) -> ScoreResult:
    """Rank the pool; store statistics, what was known, and the head of the order."""
    if not work.images:
        raise Conflict("No image of the pool has a prediction yet.")
    pool, statistics = _pool(work, store, report, desk)
    report(Progress("Drawing lessons from the newest annotations"))
    taught = lessons.draw(work.answers, store, desk.scratch)
    parameters = Parameters.of(work.parameters)
    known = _knowledge(work, parameters, taught)
    measured = {
        row.value: ranker.Measured(row.counts.recall, row.counts.dice, row.tiles)
        for row in work.validation
    }
    needs = class_needs(work.schema, measured)
    report(Progress("Ranking"))
    scene = Scene.of(pool, work.seed, needs, known, parameters)
    ranked = ranker.order(work.strategy, scene, work.query_size, work.reserve)
    scores = ranker.scores(work.strategy, scene, work.query_size)
    folder = desk.scratch / "scores"
    folder.mkdir()
    statistics.save(folder / "tiles.npz")
    for name in ("keys", "images", "excluded", "annotated", "groups", "donors"):
        np.save(folder / f"{name}.npy", getattr(pool, name))
    ids = [tile for image in work.images for tile in image.tiles]
    head = np.array([item.tile for item in ranked], np.intp)
    said = asked(scene, head)
    lessons.save(folder / ASKED, [ids[tile] for tile in head], said)
    spread = ranker.histograms(scores, ranked)
    _write(folder / HISTOGRAMS, [asdict(part) for part in spread])
    _write(folder / KNOWLEDGE, asdict(known))
    prefix = f"{job_prefix(work.job_id, work.fence)}/scores"
    return ScoreResult(
        head=tuple(
            RankedTile(ids[r.tile], r.rank, r.score, r.component, r.parts, r.reason)
            for r in ranked
        ),
        scores=StoredTree(prefix, store.put_tree(prefix, folder)),
        lessons=taught,
    )


def _pool(
    work: ScoreWork, store: ArtifactStore, report: Report, desk: Desk
) -> tuple[Pool, TileStatistics]:
    """Return all tiles that were swept, in and out of the pool."""
    parts = []
    for number, image in enumerate(work.images):
        path = desk.scratch / f"{image.image_id}.npz"
        store.fetch_file(f"{image.sweep.prefix}/tiles.npz", path)
        try:
            parts.append(TileStatistics.load(path))
        except ValueError as error:
            raise Conflict(str(error)) from error
        path.unlink()
        report(Progress("Reading statistics", (number + 1) / len(work.images)))
    statistics = TileStatistics.concatenate(parts)
    tiles = [len(part) for part in parts]
    ids = [tile for image in work.images for tile in image.tiles]
    pool = Pool(
        keys=keys_of(ids),
        images=np.repeat(np.arange(len(parts), dtype=np.int64), tiles),
        boxes=statistics.boxes,
        excluded=np.array([id in work.excluded for id in ids], bool),
        statistics=statistics,
        annotated=np.array([id in work.annotated for id in ids], bool),
        groups=np.repeat(_numbers([image.group for image in work.images]), tiles),
        donors=np.repeat(_numbers([image.donor for image in work.images]), tiles),
    )
    return pool, statistics


def _numbers(names: Sequence[str | None]) -> NDArray[np.int64]:
    """Number names from 0 by their first appearance; −1 where there is none."""
    known: dict[str, int] = {}
    found = [-1 if n is None else known.setdefault(n, len(known)) for n in names]
    return np.array(found, np.int64)


def _knowledge(
    work: ScoreWork, parameters: Parameters, taught: Sequence[LessonsOfTile]
) -> Knowledge:
    """Fit what earlier work teaches the ranker."""
    timed = [tile for tile in work.timed if tile.parts.keys() >= set(COST_PARTS)]
    return Knowledge(
        calibration={
            row.value: fit_platt(row.undecided_missed, row.undecided_others)
            for row in work.validation
            if row.undecided_missed
        },
        cost=fit_cost(
            [[tile.parts[name] for name in COST_PARTS] for tile in timed],
            [tile.minutes for tile in timed],
        ),
        corrections=_corrections(work.lessons, taught),
        spent=min(1.0, len(work.annotated) / parameters.budget),
        controls=work.controls,
    )


def _corrections(
    before: Mapping[int, Sequence[LessonOfTile]], taught: Sequence[LessonsOfTile]
) -> dict[int, Correction]:
    """Fit one correction per label on the lessons of all rounds.

    Lessons of an earlier release with other score parts are left out.
    """
    of_label = defaultdict(list, {value: list(old) for value, old in before.items()})
    for tile in taught:
        for value, lesson in tile.lessons.items():
            of_label[value].append(lesson)
    return {
        value: fit_correction(
            [
                Lesson(
                    tuple(lesson.features[name] for name in PARTS),
                    lesson.prior,
                    lesson.missed,
                )
                for lesson in found
                if lesson.features.keys() == set(PARTS)
            ]
        )
        for value, found in of_label.items()
    }


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))
