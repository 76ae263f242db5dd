"""From a clean signal to a micrograph: staining, knife marks, blur and shot noise."""

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from backend.imaging.phantom.fields import Field, grid, smooth

BLUR = 0.75  # sigma of the point spread function in pixels
NOISE = 0.065  # SD of the shot noise where the signal is 0.5


def knife(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """Knife marks: a few faint scratches along the cut and broad compression bands."""
    y, x = grid((slice(0, shape[0]), slice(0, shape[1])))
    turn = rng.uniform(0, np.pi)
    marks = np.zeros(shape, np.float32)
    for _ in range(rng.poisson(2.0 + max(shape) / 400)):
        tilt = turn + rng.normal(0, 0.015)
        across = np.cos(tilt) * y - np.sin(tilt) * x
        across = across - rng.uniform(across.min(), across.max())
        depth = rng.choice([-1.0, 1.0], p=[0.35, 0.65]) * rng.uniform(0.02, 0.09)
        marks += depth * np.exp(-((across / rng.uniform(0.7, 1.8)) ** 2))
    marks *= np.clip(0.6 + 0.6 * smooth(rng, shape, 120), 0, 1.3)
    chatter = np.sin(turn) * y + np.cos(turn) * x
    period, phase = rng.uniform(70, 140), rng.uniform(0, 2 * np.pi)
    marks += 0.008 * np.sin(2 * np.pi * chatter / period + phase)
    return marks


def expose(rng: np.random.Generator, clean: Field) -> npt.NDArray[np.uint8]:
    """Photograph the clean signal 0..1: returns (height, width) uint8.

    Shot noise is normal with variance proportional to the signal, the limit of many
    electrons per pixel.
    """
    shape = clean.shape[0], clean.shape[1]
    stain = 1 + 0.03 * smooth(rng, shape, 260) + 0.015 * smooth(rng, shape, 70)
    signal = gaussian_filter(clean * stain + knife(rng, shape), BLUR)
    dose = np.sqrt(np.clip(signal, 0.05, 1) / 0.5)
    signal = signal + NOISE * dose * rng.standard_normal(shape, dtype=np.float32)
    image: npt.NDArray[np.uint8] = np.rint(np.clip(signal, 0, 1) * 255).astype(np.uint8)
    return image
