"""The first tiles: whoever chooses them keeps the rules, and the sums are right."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.imaging.phantom import phantom
from backend.ranker.select import CROWDING
from bench import start
from bench.firsts import (
    CHOICES,
    EMPTY,
    RIDGES,
    STATISTICS,
    Known,
    pool_of,
    statistics,
)
from bench.subjects import U1

TILE = 32


def noise(seed: int, height: int = 96, width: int = 128) -> U1:
    """Return an image of noise, (height, width) uint8."""
    return np.random.default_rng(seed).integers(60, 180, (height, width)).astype("u1")


def known(images: list[U1], labels: int = 2) -> Known:
    pool, places = pool_of(images, TILE)
    area = np.random.default_rng(0).integers(0, 9, (len(places), labels))
    about = np.concatenate([statistics(image, TILE) for image in images])
    return Known(pool, about, area.astype(float))


def test_statistics_do_not_depend_on_brightness_or_contrast() -> None:
    grey = noise(1)
    other = (0.5 * grey.astype(float) + 70).astype(np.float32)
    ours, theirs = statistics(grey, TILE), statistics(other, TILE)
    assert ours.shape == (12, len(STATISTICS))
    assert ours == pytest.approx(theirs, abs=1e-3)


def test_a_dark_line_is_more_of_a_ridge_than_a_bright_one() -> None:
    grey = np.full((3, 96, 96), 120, np.uint8)
    grey[1, 40:44], grey[2, 40:44] = 20, 220
    dark, bright = (statistics(image, 96)[0, RIDGES] for image in grey[1:])
    assert dark > 1.3 * bright
    assert statistics(grey[0], 96)[0, RIDGES] == 0


def test_resin_is_empty_and_tissue_is_not() -> None:
    grey = noise(2)
    grey[:, :64] = 215
    empty = statistics(grey, TILE)[:, EMPTY].reshape(3, 4)
    assert (empty[:, 0] > 0.9).all()
    assert (empty[:, 3] < 0.05).all()


@settings(deadline=None, max_examples=40)
@given(
    way=st.sampled_from(sorted(CHOICES)),
    count=st.integers(1, 30),
    seed=st.integers(0, 2**31 - 1),
)
def test_choices_are_distinct_and_the_same_again(
    way: str, count: int, seed: int
) -> None:
    pool = POOL
    chosen = CHOICES[way](pool, count, seed)
    assert chosen == CHOICES[way](pool, count, seed)
    assert len(set(chosen)) == len(chosen) == min(count, len(pool.area))
    assert all(0 <= tile < len(pool.area) for tile in chosen)
    if way not in ("foreground-random-66-true",):
        crowd = np.bincount(pool.pool.images[chosen]).max()
        assert crowd <= -(-CROWDING * count // 3)


POOL = known([noise(seed) for seed in range(3)])


@pytest.mark.parametrize("way", ["diverse", "diverse-ridges", "k-center", "k-means"])
def test_who_looks_at_the_pixels_leaves_empty_tiles_out(way: str) -> None:
    images = [noise(seed) for seed in range(3)]
    for image in images:
        image[:, :64] = 215
    pool = known(images)
    chosen = CHOICES[way](pool, 9, 0)
    assert pool.full[chosen].all()


def test_gains_are_paired_by_seed() -> None:
    base = {0: 0.5, 1: 0.7, 2: 0.6}
    found = [
        {
            "field": "vnc",
            "seed": seed,
            "tiles": 6,
            "way": way,
            "average_precision": value + gain,
            "dice": value,
            "mean_dice": value,
        }
        for seed, value in base.items()
        for way, gain in (("start", 0.0), ("k-means", 0.1 + 0.01 * seed))
    ]
    gained = start.compared(found, "vnc", "k-means", (6,))["average_precision"]
    assert gained["gain"] == pytest.approx(0.11)
    # t quantile of 2 degrees of freedom 4.3027, deviation 0.01, three seeds
    assert gained["interval"] == pytest.approx([0.0852, 0.1348], abs=1e-4)
    alone = start.compared(found[:-1], "vnc", "k-means", (6,))["average_precision"]
    assert alone["seeds"] == 2


def test_a_field_scores_the_same_twice_and_measures_elsewhere(tmp_path: Path) -> None:
    made = [phantom(seed, 128, 128) for seed in range(3)]
    pairs = [(one.image, one.labels) for one in made]
    fields = [
        start.Field(pairs[:2], pairs[2:], (1, 2, 3, 4, 5), 4, tmp_path)
        for _ in range(2)
    ]
    once, again = (field.score([0, 1], seed=3) for field in fields)
    assert once == again
    assert once["pixels"] == sum(int((labels == 4).sum()) for _, labels in pairs[:2])
    truth = fields[0].measured[1]
    prevalence = (truth == 4).mean()
    assert prevalence < once["average_precision"] <= 1


def test_an_empty_part_has_no_label_and_no_texture() -> None:
    made = phantom(0, 256, 256)
    grey, labels = start.vary(made.image, made.labels, 1)
    edge = int((grey[:, :128] > 200).all(axis=0).sum())
    assert 0 < edge < 128
    assert not labels[:, :edge].any()
    assert np.array_equal(labels[:, edge:], made.labels[:, edge:])
