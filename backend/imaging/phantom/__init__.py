"""Synthetic liver electron micrographs with exact ground truth for five organelles.

For the demo, the tests and every figure on ER or lipid droplets, for which no labelled
liver images are at hand. The ER is the hard class for the reason it is in real images:
sheets and tubules three to six pixels wide whose contrast lies below the noise.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backend.imaging.phantom.fields import Field, smooth, specks
from backend.imaging.phantom.microscope import expose
from backend.imaging.phantom.organelles import (
    CYTOSOL,
    REACH,
    Canvas,
    Tissue,
    mitochondria,
    nuclei,
    round_bodies,
    tissue,
    walls,
)
from backend.imaging.phantom.reticulum import reticulum

PIXEL_NM = 16.0
_MARGIN = 32  # painted around the image and cut off, so organelles cross its edge


@dataclass(frozen=True, slots=True)
class Phantom:
    """One synthetic micrograph.

    `image` (height, width) uint8 grey values. `labels` (height, width) uint8: 0 cytosol
    and everything else, 1 nucleus, 2 mitochondria, 3 lipid droplet, 4 ER, 5 cell
    boundary (both membranes, the gap and the bile canaliculi). `pixel_nm` is the edge
    of a pixel in nanometres.
    """

    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    pixel_nm: float


def phantom(seed: int, height: int = 1024, width: int = 1024) -> Phantom:
    """Paint one micrograph; the same seed and size give the same one.

    Cells are smaller than life (7 µm), so that every 512² field shows a nucleus and a
    wall; everything inside them has its natural size.
    """
    rng = np.random.default_rng(seed)
    shape = height + 2 * _MARGIN, width + 2 * _MARGIN
    cells = tissue(rng, shape)
    glycogen = smooth(rng, shape, 75) - 0.35
    canvas = Canvas(
        grey=_cytosol(rng, cells, glycogen),
        labels=np.zeros(shape, np.uint8),
        free=np.minimum(cells.wall, REACH),
        hug=np.full(shape, REACH, np.float32),
    )
    walls(rng, canvas, cells)
    nuclei(rng, canvas, cells)
    mitochondria(rng, canvas)
    round_bodies(rng, canvas)
    reticulum(rng, canvas, glycogen)
    image = expose(rng, canvas.grey)
    inner = slice(_MARGIN, _MARGIN + height), slice(_MARGIN, _MARGIN + width)
    return Phantom(image[inner].copy(), canvas.labels[inner].copy(), PIXEL_NM)


def _cytosol(rng: np.random.Generator, cells: Tissue, glycogen: Field) -> Field:
    """Cytosol of each cell's own tone with ribosomes, and glycogen rosettes."""
    shape = glycogen.shape[0], glycogen.shape[1]
    tone = rng.normal(CYTOSOL, 0.015, len(cells.centres)).astype(np.float32)[cells.cell]
    grey: Field = tone + 0.025 * smooth(rng, shape, 2.0) + 0.02 * smooth(rng, shape, 5)
    grey -= 0.16 * specks(rng, np.full(shape, 0.010, np.float32), 0.8)
    # Rosettes: particles gather where a medium-scale field peaks.
    bunch = np.clip(smooth(rng, shape, 4) - 0.4, 0, 1) * np.clip(glycogen * 2, 0, 1)
    grey -= 0.2 * np.minimum(specks(rng, 0.3 * bunch, 0.9), 1.3)
    return grey
