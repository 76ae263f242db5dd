"""What the forest sees of a pixel: texture and shape around it on five scales.

Per scale: Gaussian mean, gradient magnitude, both eigenvalues of the Hessian and the
local standard deviation; on two scales also the eigenvalues of the structure tensor.
Derivatives are scale-normalised (Lindeberg, IJCV 30:79, 1998).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from backend.domain.geometry import Box
from worker.segmenter import ImageData

F4 = NDArray[np.float32]

SIGMAS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Scales in pixels of the project's working size."""
_TENSOR_SIGMAS = (2.0, 4.0)
_TRUNCATE = 3.0
COUNT = 1 + 5 * len(SIGMAS) + 2 * len(_TENSOR_SIGMAS)


def scale_of(image: ImageData, working_nm: float | None) -> float:
    """Return how many of the image's pixels span one working pixel; 1 if unknown."""
    if working_nm is None or image.pixel_nm is None:
        return 1.0
    return working_nm / image.pixel_nm


def of_image(image: ImageData, box: Box, working_nm: float | None) -> F4:
    """Return `pixel_features` of a part of this image."""
    pixels = np.load(image.path, mmap_mode="r", allow_pickle=False)
    scale = scale_of(image, working_nm)
    return pixel_features(pixels, box, image.mean, image.sd, scale)


def pixel_features(
    pixels: NDArray[np.generic], box: Box, mean: float, sd: float, scale: float
) -> F4:
    """Return the features (box.h, box.w, COUNT) of a part of an image, float32.

    `pixels` (height, width) is the whole image in grey values, perhaps a memmap, of
    which only the box and its surroundings are read; `mean` and `sd` are those of the
    whole image. The result does not depend on how an image is cut into boxes.
    """
    margin = int(_TRUNCATE * max(SIGMAS) * scale) + 3
    around = box.grown(margin, *pixels.shape)
    grey = (pixels[around.slices].astype(np.float32) - mean) / (sd or 1.0)
    inner = Box(box.y - around.y, box.x - around.x, box.h, box.w).slices
    features = np.empty((box.h, box.w, COUNT), np.float32)
    place = iter(range(COUNT))

    def keep(*planes: F4) -> None:
        for plane in planes:
            features[..., next(place)] = plane[inner]

    keep(grey)
    square = grey * grey
    for nominal in SIGMAS:
        sigma = nominal * scale
        smooth = _smooth(grey, sigma)
        dy, dx = _gradient(smooth, sigma)
        variance = np.maximum(_smooth(square, sigma) - smooth * smooth, 0)
        keep(smooth, np.hypot(dy, dx), np.sqrt(variance))
        (dyy, dyx), (_, dxx) = _gradient(dy, sigma), _gradient(dx, sigma)
        keep(*_eigenvalues(dyy, dyx, dxx))
        if nominal in _TENSOR_SIGMAS:
            wide = 2 * sigma
            tensor = (_smooth(part, wide) for part in (dy * dy, dy * dx, dx * dx))
            keep(*_eigenvalues(*tensor))
    return features


def _smooth(plane: F4, sigma: float) -> F4:
    smooth: F4 = gaussian_filter(plane, sigma, truncate=_TRUNCATE)
    return smooth


def _gradient(plane: F4, sigma: float) -> tuple[F4, F4]:
    """Return (d/dy, d/dx) by central differences, times sigma."""
    dy, dx = np.zeros_like(plane), np.zeros_like(plane)
    dy[1:-1] = (plane[2:] - plane[:-2]) * (sigma / 2)
    dx[:, 1:-1] = (plane[:, 2:] - plane[:, :-2]) * (sigma / 2)
    return dy, dx


def _eigenvalues(yy: F4, yx: F4, xx: F4) -> tuple[F4, F4]:
    """Return the larger and the smaller eigenvalue of [[yy, yx], [yx, xx]]."""
    half = np.float32(0.5)
    middle, radius = (yy + xx) * half, np.hypot((yy - xx) * half, yx)
    return middle + radius, middle - radius
