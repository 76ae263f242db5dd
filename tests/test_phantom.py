"""The phantom is reproducible, complete, and hard where real liver is hard: the ER."""

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage
from skimage.morphology import skeletonize
from sklearn.ensemble import RandomForestClassifier

from backend.domain.labels import LIVER
from backend.imaging.phantom import Phantom, phantom

ER = LIVER.named("ER").value
DROPLET = LIVER.named("lipid droplet").value
UNSEEN = (2, 4, 8)
PAIRS = [(1, 2), (3, 4), (7, 8)]


@cache
def picture(seed: int) -> Phantom:
    return phantom(seed, 512, 512)


def recall(
    predicted: npt.NDArray[np.generic], truth: npt.NDArray[np.uint8]
) -> list[float]:
    return [float(np.mean(predicted[truth == v] == v)) for v in LIVER.values]


def test_same_seed_same_picture_other_seed_other_picture() -> None:
    first, again, other = (phantom(seed, 160, 224) for seed in (5, 5, 6))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, other.image)
    assert not np.array_equal(first.labels, other.labels)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 200), (257, 96)])
def test_any_size_is_painted(height: int, width: int) -> None:
    made = phantom(0, height, width)
    assert made.image.shape == made.labels.shape == (height, width)
    assert made.image.dtype == made.labels.dtype == np.uint8
    assert made.pixel_nm > 0


@pytest.mark.parametrize("seed", range(6))
def test_a_field_of_512_shows_every_organelle(seed: int) -> None:
    labels = picture(seed).labels
    assert set(np.unique(labels)) == {0, *LIVER.values}
    share = np.bincount(labels.ravel(), minlength=6) / labels.size
    assert 0.06 <= share[ER] <= 0.14
    assert share[1:].min() > 0.01
    assert share[0] > 0.4


def test_the_grey_range_is_used_and_not_clipped() -> None:
    image = picture(0).image
    assert image.std() > 20
    assert np.mean((image == 0) | (image == 255)) < 0.01


@pytest.mark.parametrize("seed", UNSEEN)
def test_er_is_three_to_six_pixels_wide(seed: int) -> None:
    reticulum = picture(seed).labels == ER
    ridge = skeletonize(reticulum)
    widths = 2 * ndimage.distance_transform_edt(reticulum)[ridge]
    assert 3 <= np.median(widths) <= 6
    assert np.percentile(widths, 95) <= 6.5
    # The same from area over length, which no pixel rounding biases upwards.
    assert 3 <= reticulum.sum() / ridge.sum() <= 6


def noise_sd(made: Phantom) -> float:
    """SD of the shot noise at the cytosol's grey, from the blank inside of droplets."""
    blank = ndimage.distance_transform_edt(made.labels == DROPLET) > 4
    grey = made.image.astype(float)
    beside = blank[:, 1:] & blank[:, :-1]
    sd = np.std(np.diff(grey, axis=1)[beside]) / np.sqrt(2)
    return float(sd * np.sqrt(grey[made.labels == 0].mean() / grey[blank].mean()))


@pytest.mark.parametrize("seed", UNSEEN)
def test_er_contrast_lies_below_the_noise_but_is_there(seed: int) -> None:
    made = picture(seed)
    grey, cytosol = made.image.astype(float), (made.labels == 0).astype(float)
    nearby = ndimage.gaussian_filter(cytosol, 8)
    around = ndimage.gaussian_filter(grey * cytosol, 8) / np.maximum(nearby, 1e-3)
    pieces, count = ndimage.label(made.labels == ER)
    numbers = np.arange(1, count + 1)
    area = ndimage.sum_labels(pieces > 0, pieces, numbers)
    contrast = ndimage.mean(grey - around, pieces, numbers) / noise_sd(made)
    assert 0.5 < np.average(np.abs(contrast), weights=area) < 1.5
    # Rough ER is darker and smooth ER paler than the cytosol: no threshold finds both.
    assert np.sum(area[contrast < -0.3]) > np.sum(area[contrast > 0.3]) > 0


@pytest.mark.parametrize(("learnt", "unseen"), PAIRS)
def test_grey_value_alone_does_not_find_er(learnt: int, unseen: int) -> None:
    known, new = picture(learnt), picture(unseen)
    centroids = np.array([known.image[known.labels == v].mean() for v in range(6)])
    found = np.abs(new.image[..., None] - centroids).argmin(axis=-1) == ER
    truth = new.labels == ER
    assert 2 * np.sum(found & truth) / (found.sum() + truth.sum()) < 0.3


def features(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Grey, Gaussians, gradients, Hessian eigenvalues at four scales: (pixels, n)."""
    grey = (image - image.mean()) / image.std()
    stack = [grey]
    for sigma in (1, 2, 4, 8):
        rows, columns, mixed = (
            ndimage.gaussian_filter(grey, sigma, order=order)
            for order in ((2, 0), (0, 2), (1, 1))
        )
        spread = np.hypot(rows - columns, 2 * mixed)
        stack += [
            ndimage.gaussian_filter(grey, sigma),
            ndimage.gaussian_gradient_magnitude(grey, sigma),
            (rows + columns + spread) / 2,
            (rows + columns - spread) / 2,
        ]
    return np.stack(stack, axis=-1).reshape(image.size, -1)


@pytest.mark.parametrize(("learnt", "unseen"), PAIRS)
def test_er_is_what_a_pixel_classifier_misses_most(learnt: int, unseen: int) -> None:
    known, new = picture(learnt), picture(unseen)
    chosen = np.random.default_rng(0).choice(known.labels.size, 15_000, replace=False)
    forest = RandomForestClassifier(
        30, min_samples_leaf=5, random_state=0, max_features="sqrt"
    )
    forest.fit(features(known.image)[chosen], known.labels.ravel()[chosen])
    predicted = forest.predict(features(new.image)).reshape(new.labels.shape)
    recalls = recall(predicted, new.labels)
    assert LIVER.values[int(np.argmin(recalls))] == ER
    precision = float(np.mean(new.labels[predicted == ER] == ER))
    assert precision > recalls[LIVER.values.index(ER)] + 0.1
    assert precision > 2 * np.mean(new.labels == ER)
