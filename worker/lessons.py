"""Lessons: what a version missed on the tiles it asked for, once people painted them.

A ranking writes down what it says of the tiles in its head. When masks of them have
come, the version's own labels tell what it had missed there.
"""

import contextlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from backend.domain.labels import UNKNOWN
from backend.domain.masks import unpack
from backend.imaging.arrays import open_array
from backend.ranker.asked import Asked
from backend.ranker.learned import PARTS
from backend.schemas.loop import ASKED, Answer, Answered, LessonOfTile, LessonsOfTile
from backend.storage import ArtifactStore


def save(path: Path, ids: Sequence[uuid.UUID], said: Asked) -> None:
    """Write what a ranking said of these tiles as an .npz file."""
    np.savez(
        path,
        keys=np.array([str(id) for id in ids], np.str_),
        values=said.values,
        parts=np.array(PARTS),
        features=said.features,
        prior=said.prior,
    )


def load(path: Path) -> dict[str, Asked] | None:
    """Read what `save` wrote, by tile id; None if it was of other score parts."""
    with np.load(path, allow_pickle=False) as file:
        if tuple(file["parts"].tolist()) != PARTS:
            return None
        values, features, prior = file["values"], file["features"], file["prior"]
        return {
            key: Asked(values, features[row : row + 1], prior[row : row + 1])
            for row, key in enumerate(file["keys"].tolist())
        }


def draw(
    answered: Iterable[Answered], store: ArtifactStore, scratch: Path
) -> tuple[LessonsOfTile, ...]:
    """Return what the answers teach; nothing where a sweep is gone by now."""
    found = []
    for query in answered:
        if ASKED not in query.scores.manifest:
            continue
        path = scratch / f"{query.query_id}.npz"
        store.fetch_file(f"{query.scores.prefix}/{ASKED}", path)
        asked = load(path)
        path.unlink()
        if asked is None:
            continue
        for answer in query.answers:
            with contextlib.suppress(FileNotFoundError):
                known = missed(answer, store)
                said = asked.get(str(answer.tile_id))
                taught = _lessons(said, known) if said else {}
                found.append(LessonsOfTile(query.query_id, answer.tile_id, taught))
    return tuple(found)


def missed(answer: Answer, store: ArtifactStore) -> dict[int, int]:
    """Return the missed pixels by label value; only labels the mask is complete for.

    A mask with unknown pixels tells nothing: what is missed there is not known.
    """
    truth = unpack(answer.raster, (answer.box.h, answer.box.w))
    if (truth == UNKNOWN).any():
        return {}
    labels = open_array(store.root, f"{answer.sweep.prefix}/labels.npy")
    said = labels.read(answer.box)
    return {
        value: int(((truth == value) & (said != value)).sum())
        for value in answer.complete_for
    }


def _lessons(said: Asked, missed: Mapping[int, int]) -> dict[int, LessonOfTile]:
    """Return one tile's lessons of the labels whose missed pixels are known."""
    return {
        int(value): LessonOfTile(
            features=dict(
                zip(PARTS, map(float, said.features[0, column]), strict=True)
            ),
            prior=float(said.prior[0, column]),
            missed=float(missed[int(value)]),
        )
        for column, value in enumerate(said.values)
        if int(value) in missed
    }
