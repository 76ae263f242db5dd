"""Cells, nuclei, mitochondria, lipid droplets and canaliculi, painted on one canvas."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backend.imaging.phantom.fields import (
    Field,
    Shape,
    along,
    blend,
    cover,
    ellipse,
    grid,
    smooth,
    specks,
    stroke,
    window,
)

NUCLEUS, MITOCHONDRIA, DROPLET, ER, BOUNDARY = 1, 2, 3, 4, 5
CYTOSOL = 0.56
MEMBRANE = 0.2
CELL = 450.0  # pixels between cell centres: every 512² field meets a wall and a nucleus
REACH = 70.0  # distances to organelles are exact up to here


@dataclass(frozen=True, slots=True)
class Canvas:
    """What is being painted; the arrays are (height, width) and change in place.

    `grey` is the clean signal 0 (black) to 1; `labels` the ground truth; `free` the
    distance in pixels to the nearest organelle or membrane; `hug` the distance to the
    nearest mitochondrion or nucleus, along which rough ER lies.
    """

    grey: Field
    labels: npt.NDArray[np.uint8]
    free: Field
    hug: Field

    @property
    def shape(self) -> Shape:
        """Height and width in pixels."""
        height, width = self.grey.shape
        return height, width


@dataclass(frozen=True, slots=True)
class Tissue:
    """Which cell owns each pixel and where the walls run.

    `centres` (n, 2) row, column; `cell` (height, width) index of the owner, `next_cell`
    of the nearest neighbour; `wall` distance in pixels to the wall between them.
    """

    centres: npt.NDArray[np.float64]
    cell: npt.NDArray[np.int16]
    next_cell: npt.NDArray[np.int16]
    wall: Field


def tissue(rng: np.random.Generator, shape: Shape) -> Tissue:
    """Lay out cells: a warped Voronoi diagram of a jittered hexagonal lattice."""
    rows, columns = (int(length // CELL) + 3 for length in shape)
    row, column = np.mgrid[:rows, :columns].astype(float)
    lattice = np.stack([row * 0.9, column + 0.5 * (row % 2)], axis=-1).reshape(-1, 2)
    shift = rng.uniform(-1.2, -0.2, 2)
    centres = CELL * (lattice + shift + rng.normal(0, 0.09, lattice.shape))

    y, x = grid((slice(0, shape[0]), slice(0, shape[1])))
    y = y + 9 * smooth(rng, shape, 60) + 1.2 * smooth(rng, shape, 12)
    x = x + 9 * smooth(rng, shape, 60) + 1.2 * smooth(rng, shape, 12)
    first = np.full(shape, np.inf, np.float32)
    second = first.copy()
    cell, next_cell = np.zeros(shape, np.int16), np.zeros(shape, np.int16)
    for index, (cy, cx) in enumerate(centres.astype(np.float32)):
        square = (y - cy) ** 2 + (x - cx) ** 2
        wins, places = square < first, square < second
        next_cell = np.where(wins, cell, np.where(places, index, next_cell))
        second = np.where(wins, first, np.minimum(second, square))
        cell = np.where(wins, index, cell)
        first = np.where(wins, square, first)
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    wall = (second - first) / (2 * np.maximum(apart[cell, next_cell], 1))
    return Tissue(
        centres,
        cell.astype(np.int16),
        next_cell.astype(np.int16),
        wall.astype(np.float32),
    )


def walls(rng: np.random.Generator, canvas: Canvas, cells: Tissue) -> None:
    """Paint plasma membranes with the gap between them, and bile canaliculi.

    A canaliculus is a widening of the gap, so gap, lumen and microvilli are all
    labelled cell boundary, as is the membrane on both sides.
    """
    shape = canvas.shape
    space = cells.wall - (1.5 + 0.6 * np.clip(smooth(rng, shape, 40), -1.2, 2))
    solid = np.full(shape, REACH, np.float32)  # distance to the microvilli
    plaque = np.zeros(shape, np.float32)
    on_wall = np.argwhere(cells.wall < 0.8)
    taken: list[npt.NDArray[np.int64]] = []
    for _ in range(200):
        if not len(on_wall) or len(taken) > shape[0] * shape[1] / (0.9 * CELL**2):
            break
        spot = on_wall[rng.integers(len(on_wall))]
        if any(np.hypot(*(spot - other)) < 0.45 * CELL for other in taken):
            continue
        taken.append(spot)
        pair = cells.cell[tuple(spot)], cells.next_cell[tuple(spot)]
        across = cells.centres[pair[0]] - cells.centres[pair[1]]
        radii = float(rng.uniform(22, 38)), float(rng.uniform(14, 22))
        part = window(spot[None].astype(float), 2.5 * radii[0], shape)
        y, x = grid(part)
        y, x = y - spot[0], x - spot[1]
        angle = np.arctan2(across[0], across[1]) + np.pi / 2
        lumen = ellipse(y, x, radii, angle)
        lumen += 2.5 * smooth(rng, (lumen.shape[0], lumen.shape[1]), 9)
        space[part] = np.minimum(space[part], lumen)
        plaque[part] = np.maximum(plaque[part], np.exp(-((lumen / 14) ** 2)))
        for _ in range(int(rng.integers(9, 16))):
            turn = rng.uniform(0, 2 * np.pi)
            root = np.array([np.sin(turn), np.cos(turn)]) * radii[1] * 1.3
            stretch = 1 + (radii[0] / radii[1] - 1) * abs(np.cos(turn - angle))
            tip = root * stretch * rng.uniform(0.1, 0.75)
            root = tip * rng.uniform(1.0, 1.8)
            distance, _, _ = along(y, x, np.stack([root, tip]))
            solid[part] = np.minimum(solid[part], distance - rng.uniform(2.6, 3.8))
    edge = space - 2.0
    canvas.labels[edge < 0] = BOUNDARY
    np.minimum(canvas.free, edge, out=canvas.free)
    space = np.maximum(space, -solid)
    blend(canvas.grey, 0.66 + 0.1 * cover(space + 6), cover(space))
    dense = 0.14 + 0.04 * smooth(rng, shape, 25)
    blend(canvas.grey, dense, 0.95 * stroke(space, 1.0, 2.0))
    junction = plaque * np.exp(-((cells.wall / 5) ** 2)) * (space > -4)
    blend(canvas.grey, 0.24, 0.55 * junction)


def nuclei(rng: np.random.Generator, canvas: Canvas, cells: Tissue) -> None:
    """Paint hepatocyte nuclei: double envelope with pores, chromatin, a nucleolus."""
    shape = canvas.shape
    for centre in cells.centres + rng.normal(0, 14, cells.centres.shape):
        radii = float(rng.uniform(92, 122)), float(rng.uniform(80, 106))
        if (
            rng.random() < 0.06
            or np.any(centre < -130)
            or np.any(centre > np.add(shape, 130))
        ):
            continue
        part = window(centre[None], max(radii) + REACH, shape)
        y, x = grid(part)
        distance = ellipse(y - centre[0], x - centre[1], radii, rng.uniform(0, np.pi))
        size = distance.shape[0], distance.shape[1]
        distance += 4 * smooth(rng, size, 45) + 0.8 * smooth(rng, size, 11)
        distance = np.maximum(distance, 26 - canvas.free[part])
        inside = distance < 0
        pore = cover((1.75 - smooth(rng, size, 7)) * 4)
        fine = 0.05 * smooth(rng, size, 2.5) + 0.03 * smooth(rng, size, 6)
        clump = smooth(rng, size, 16) + 0.4 * smooth(rng, size, 6)
        rim = 9 + 6 * smooth(rng, size, 15)
        dark = np.maximum(
            cover((-distance - rim) / 3 - 1 + 2 * pore), cover((1.3 - clump) * 2.5)
        )
        tone = 0.66 + fine
        blend(tone, 0.42 + 0.8 * fine, dark)
        spot = rng.uniform(-0.4, 0.4, 2) * radii[1] + centre
        nucleolus = np.hypot(y - spot[0], x - spot[1]) - rng.uniform(16, 27)
        nucleolus = (nucleolus + 4 * smooth(rng, size, 10)).astype(np.float32)
        blend(tone, 0.36 + 1.3 * fine, cover(nucleolus / 3))
        grey = canvas.grey[part]
        blend(grey, tone, cover(distance))
        blend(grey, 0.66, 0.9 * stroke(distance, -2.6, 3.0))
        for at in (-0.7, -4.6):
            blend(grey, MEMBRANE + 0.06, (1 - 0.8 * pore) * stroke(distance, at, 1.5))
        canvas.labels[part][inside] = NUCLEUS
        np.minimum(canvas.free[part], distance, out=canvas.free[part])
        np.minimum(canvas.hug[part], distance + 3, out=canvas.hug[part])


def _bent(
    rng: np.random.Generator, at: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """A gently bent spine of 8 points through `at`, 6 to 96 pixels long."""
    length = 6 + 90 * rng.beta(1.1, 2.0)
    turn, bend = rng.uniform(0, np.pi), rng.normal(0, 0.10) * min(1, length / 70)
    t = np.linspace(-0.5, 0.5, 8)[:, None]
    onward = np.array([np.sin(turn), np.cos(turn)])
    aside = np.array([onward[1], -onward[0]])
    shape = t * onward + 4 * bend * (0.125 - t**2) * aside
    spine: npt.NDArray[np.float64] = at + length * shape
    return spine


def _clearance(canvas: Canvas, points: npt.NDArray[np.float64]) -> float:
    """Free distance in pixels at the tightest of `points` (n, 2), clipped to canvas."""
    spots = np.clip(np.rint(points).astype(int), 0, np.subtract(canvas.shape, 1))
    return float(canvas.free[spots[:, 0], spots[:, 1]].min())


def mitochondria(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint mitochondria: two membranes, dark matrix, lamellar cristae, granules."""
    shape = canvas.shape
    wanted, placed = shape[0] * shape[1] / 12500, 0
    for _ in range(int(60 * wanted)):
        spine = _bent(rng, rng.uniform((0, 0), shape))
        radius = rng.uniform(14, 23)
        if _clearance(canvas, spine) < radius + rng.uniform(4, 12):
            continue
        part = window(spine, radius + REACH, shape)
        nearest, arc, side = along(*grid(part), spine)
        size = nearest.shape[0], nearest.shape[1]
        distance = nearest - radius + 0.9 * smooth(rng, size, 16)
        tone = rng.normal(0.41, 0.025)
        grey = canvas.grey[part]
        blend(grey, tone + 0.025 * smooth(rng, size, 2.5), cover(distance))

        # A crista hangs from one side, reaches a random depth, and wavers a little.
        spacing = rng.uniform(6.5, 9.0)
        phase = (arc + 2.2 * smooth(rng, size, 12)) / spacing + 8
        rank = np.clip(np.floor(phase).astype(int), 0, 63)
        offset = (phase - np.floor(phase) - rng.uniform(0.35, 0.65, 64)[rank]) * spacing
        hang = rng.choice([-1.0, 1.0], 64)[rank] * side
        depth = np.abs(offset) - 0.4, hang - radius * rng.uniform(-0.35, 0.8, 64)[rank]
        lamella = np.maximum(np.maximum(*depth), distance + 3.0).astype(np.float32)
        blend(grey, 0.60, 0.85 * cover(lamella - 0.6))
        blend(
            grey,
            MEMBRANE + 0.02,
            0.75 * stroke(lamella, 1.3, 1.1) * cover(distance + 2),
        )

        granules = specks(rng, 0.002 * cover(distance + 5), 1.2)
        grey -= 0.25 * np.minimum(granules, 1)
        blend(grey, 0.58, 0.8 * stroke(distance, -2.3, 1.8))
        blend(grey, MEMBRANE, 0.9 * stroke(distance, -0.7, 1.5))
        blend(grey, MEMBRANE + 0.03, 0.85 * stroke(distance, -3.7, 1.4))
        canvas.labels[part][distance < 0] = MITOCHONDRIA
        np.minimum(canvas.free[part], distance, out=canvas.free[part])
        np.minimum(canvas.hug[part], distance, out=canvas.hug[part])
        placed += 1
        if placed >= wanted:
            break


def round_bodies(rng: np.random.Generator, canvas: Canvas) -> None:
    """Paint lipid droplets in loose groups, and a few peroxisomes (no label)."""
    shape = canvas.shape
    area = shape[0] * shape[1]
    fatty = smooth(rng, shape, 130)
    wanted = {DROPLET: area / 26000, 0: area / 90000}
    for label, radii in ((DROPLET, (9.0, 34.0)), (0, (8.0, 13.0))):
        placed = 0
        for _ in range(int(150 * wanted[label])):
            spot = rng.uniform((0, 0), shape)
            radius = radii[0] + (radii[1] - radii[0]) * rng.beta(1.4, 2.0)
            y, x = (int(value) for value in spot)
            if label and fatty[y, x] < rng.normal(0.2, 0.4):
                continue
            if canvas.free[y, x] < radius + 3:
                continue
            part = window(spot[None], radius + REACH, shape)
            rows, columns = grid(part)
            squash = 1 + rng.uniform(-0.05, 0.05)
            distance = ellipse(
                rows - spot[0],
                columns - spot[1],
                (radius * squash, radius / squash),
                rng.uniform(0, np.pi),
            )
            distance += 0.6 * smooth(rng, (distance.shape[0], distance.shape[1]), 14)
            grey = canvas.grey[part]
            if label:
                blend(grey, rng.normal(0.72, 0.02), cover(distance))
                blend(grey, 0.32, 0.85 * stroke(distance, -0.6, 1.4))
            else:
                blend(grey, rng.normal(0.40, 0.02), cover(distance))
                core = rng.uniform(-0.3, 0.3, 2) * radius + spot
                crystal = np.hypot(rows - core[0], columns - core[1]) - radius * 0.3
                blend(grey, 0.28, 0.8 * cover(crystal.astype(np.float32) / 2))
                blend(grey, MEMBRANE + 0.08, 0.8 * stroke(distance, -0.6, 1.2))
            canvas.labels[part][distance < 0] = label
            np.minimum(canvas.free[part], distance, out=canvas.free[part])
            placed += 1
            if placed >= wanted[label]:
                break
