"""The first tiles without a model: fair to the images, spread, and the same again."""

import uuid

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.domain.geometry import TileGrid
from backend.ranker import Pool, keys_of, rank

TILE = 64


def pool_of(sides: list[tuple[int, int]], excluded: float, seed: int) -> Pool:
    """Return the tiles of images so many tiles high and wide, some of them excluded."""
    random = np.random.default_rng(seed)
    places = [
        (number, box)
        for number, (rows, columns) in enumerate(sides)
        for box in TileGrid(rows * TILE, columns * TILE, TILE)
    ]
    return Pool(
        keys=keys_of(uuid.UUID(int=int.from_bytes(random.bytes(16))) for _ in places),
        images=np.array([number for number, _ in places], np.int64),
        boxes=np.array([(b.y, b.x, b.h, b.w) for _, b in places], np.int32),
        excluded=random.random(len(places)) < excluded,
    )


POOLS = st.builds(
    pool_of,
    st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=6),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 2**31),
)


@settings(deadline=None, max_examples=60)
@given(
    pool=POOLS,
    size=st.integers(1, 20),
    reserve=st.integers(0, 40),
    seed=st.integers(0, 99),
)
def test_start_asks_for_every_tile_once_and_for_none_that_is_excluded(
    pool: Pool, size: int, reserve: int, seed: int
) -> None:
    ranked = rank("start", pool, size, reserve, seed)
    chosen = [one.tile for one in ranked]
    assert chosen == [one.tile for one in rank("start", pool, size, reserve, seed)]
    assert len(set(chosen)) == len(chosen)
    assert len(chosen) == min(size + reserve, int((~pool.excluded).sum()))
    assert not pool.excluded[chosen].any()


@settings(deadline=None, max_examples=60)
@given(pool=POOLS, size=st.integers(1, 20), seed=st.integers(0, 99))
def test_no_image_gives_more_than_twice_its_share_while_another_has_not_given_that(
    pool: Pool, size: int, seed: int
) -> None:
    chosen = [one.tile for one in rank("start", pool, size, 0, seed)]
    images = int(pool.images.max()) + 1
    here = np.bincount(pool.images[~pool.excluded], minlength=images)
    gave = np.bincount(pool.images[chosen], minlength=images)
    most = -(-2 * size // max(1, int((here > 0).sum())))
    if ((here > gave) & (gave < most)).any():
        assert gave.max() <= most


@settings(deadline=None, max_examples=40)
@given(pool=POOLS, seed=st.integers(0, 99))
def test_the_order_of_the_list_does_not_matter(pool: Pool, seed: int) -> None:
    other = np.random.default_rng(seed).permutation(len(pool))
    ours = [one.tile for one in rank("start", pool, 6, 0, seed)]
    theirs = [
        int(other[one.tile]) for one in rank("start", pool.take(other), 6, 0, seed)
    ]
    assert ours == theirs
