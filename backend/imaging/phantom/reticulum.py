"""The endoplasmic reticulum: rough sheets along organelles, smooth tubules between."""

import numpy as np
from scipy.ndimage import gaussian_filter, label
from scipy.spatial import cKDTree

from backend.imaging.phantom.fields import (
    Field,
    blend,
    cover,
    smooth,
    specks,
    stroke,
)
from backend.imaging.phantom.organelles import ER, Canvas

PERIOD = 12.0  # pixels from one sheet of a stack to the next
SMALLEST = 25  # pixels of the smallest piece of ER


def rough(rng: np.random.Generator, canvas: Canvas) -> Field:
    """Signed distance in pixels to rough ER: parallel sheets around mitochondria.

    The sheets are level lines of the distance to mitochondria and nuclei, each with
    its own gaps; stacks are one to five deep.
    """
    shape = canvas.shape
    level = gaussian_filter(canvas.hug, 5.0)
    # The farther from what they hug, the freer the sheets run.
    level += np.clip(level / 8, 1, 5) * smooth(rng, shape, 40)
    slope = np.hypot(*np.gradient(level))
    rank = np.floor((level - 1.5) / PERIOD)
    offset = level - 1.5 - (rank + 0.5) * PERIOD
    width = np.clip(2.15 + 0.25 * smooth(rng, shape, 14), 1.7, 2.8)
    sheet = np.abs(offset) / np.maximum(slope, 0.5) - width

    y, x = np.indices(shape, sparse=True)
    step = rank.astype(int)
    gaps = smooth(rng, shape, 26)[
        (y + 97 * step) % shape[0], (x + 61 * step) % shape[1]
    ]
    deep = 2.4 + 1.7 * smooth(rng, shape, 60)
    absent = np.maximum(rank + 0.5 - deep, 0) * 8 + (-0.45 - gaps) * 18
    bounds = np.maximum(absent, np.maximum(0.66 - slope, -0.5 - rank) * 14)
    bounds = np.maximum(bounds, 4.0 - canvas.free)
    distance: Field = np.maximum(sheet, bounds).astype(np.float32)
    return distance


def tubules(rng: np.random.Generator, canvas: Canvas, where: Field) -> Field:
    """Signed distance in pixels to smooth ER: a branching net, broken by the section.

    `where` (height, width) is positive in the fields of smooth ER.
    """
    shape = canvas.shape
    net = np.full(shape, 50.0, np.float32)
    spots = np.argwhere((where > 0) & (canvas.free > 3)).astype(np.float64)
    if not len(spots):
        return net
    rows, columns = spots[:, 0].astype(int), spots[:, 1].astype(int)
    spots[:, 0] += 2.5 * smooth(rng, shape, 10)[rows, columns]
    spots[:, 1] += 2.5 * smooth(rng, shape, 10)[rows, columns]
    knots = rng.uniform(-30, np.add(shape, 30), (shape[0] * shape[1] // 260, 2))
    near, index = cKDTree(knots).query(spots, k=2)
    apart = np.linalg.norm(knots[index[:, 0]] - knots[index[:, 1]], axis=1)
    edge = (near[:, 1] ** 2 - near[:, 0] ** 2) / (2 * np.maximum(apart, 2))
    net[rows, columns] = edge
    width = np.clip(2.1 + 0.25 * smooth(rng, shape, 10), 1.7, 2.6)
    broken = (-0.35 - smooth(rng, shape, 11)) * 6
    limits = np.maximum(-where * 30, 3.0 - canvas.free)
    limits = np.maximum(limits, broken)
    distance: Field = np.maximum(net - width, limits).astype(np.float32)
    return distance


def _without_crumbs(distance: Field) -> Field:
    """Lift pieces too small to be told from a vesicle out of a signed distance."""
    pieces, _ = label(distance < 2)  # as far out as ribosomes sit
    area = np.bincount(pieces.ravel(), weights=(distance < 0).ravel())
    small = (area < SMALLEST) & (np.arange(len(area)) > 0)
    return np.where(small[pieces], np.maximum(distance, 2), distance).astype(np.float32)


def reticulum(rng: np.random.Generator, canvas: Canvas, glycogen: Field) -> None:
    """Paint and label all ER. `glycogen` (height, width) is positive in its fields."""
    sheets = _without_crumbs(rough(rng, canvas))
    tubes = tubules(rng, canvas, glycogen)
    tubes = _without_crumbs(np.maximum(tubes, 4.0 - sheets))

    grey = canvas.grey
    lively = 1 + 0.15 * smooth(rng, canvas.shape, 50)
    blend(grey, 0.52, 0.7 * cover(sheets))
    blend(grey, 0.35, 0.62 * lively * stroke(sheets, -0.7, 1.3))
    dots = specks(rng, 0.11 * stroke(sheets, 0.8, 1.2), 0.75)
    grey -= 0.22 * np.minimum(dots, 1.2)
    blend(grey, 0.69, cover(tubes + 0.4))
    blend(grey, 0.42, 0.6 * stroke(tubes, 0.0, 1.0))
    canvas.labels[(sheets < 0) | (tubes < 0)] = ER
