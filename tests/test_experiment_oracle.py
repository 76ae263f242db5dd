"""What the simulated annotator paints, chooses and costs."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from backend.client import ClientError
from backend.domain.geometry import Box, TileGrid
from backend.experiment import oracle, plan
from backend.experiment.data import known_images
from backend.experiment.draws import Place, by_truth, place_of, start_set, tiles_of
from backend.imaging.phantom import phantom

ROOT = Path(__file__).parent.parent
BOX = Box(64, 64, 128, 128)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    labels = phantom(5, 256, 256).labels.copy()
    labels[100:110, 90:120] = 255
    return labels


def test_the_perfect_annotator_paints_the_truth(truth: np.ndarray) -> None:
    assert np.array_equal(oracle.painted(truth, BOX, "a", None), truth[BOX.slices])
    assert np.array_equal(oracle.whole(truth, 128, "a", None), truth)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_noise_belongs_to_the_tile_and_leaves_the_unknown(
    truth: np.ndarray, seed: int
) -> None:
    one = oracle.painted(truth, BOX, "a", seed)
    assert np.array_equal(one, oracle.painted(truth, BOX, "a", seed))
    assert not np.array_equal(one, oracle.painted(truth, BOX, "b", seed))
    assert not np.array_equal(one, oracle.painted(truth, BOX, "a", seed + 1))
    true = truth[BOX.slices]
    assert np.array_equal(one == 255, true == 255)
    assert set(np.unique(one)) <= {0, *np.unique(truth)}
    whole = oracle.whole(truth, 64, "a", seed)
    for box in TileGrid(256, 256, 64):
        assert np.array_equal(whole[box.slices], oracle.painted(truth, box, "a", seed))


def test_boundaries_are_wrong_by_three_pixels_at_the_most(truth: np.ndarray) -> None:
    wrong = total = 0
    for seed in range(10):
        made = oracle.painted(truth, BOX, "a", seed)
        true = truth[BOX.slices]
        for value in (1, 2, 4):
            deep = ndimage.distance_transform_edt(truth == value)[BOX.slices]
            away = ndimage.distance_transform_edt(truth != value)[BOX.slices]
            # roundings of both coordinates may add up to 0.71
            assert not ((made == value) & (away > 3.71)).any()
            if value != 4:  # thin ones may be missing as a whole
                inner = (deep > 3.71) & (true == value)
                lost = inner & (made != value)
                assert lost.sum() < 0.02 * max(1, inner.sum())
            wrong += ((made == value) != (true == value)).sum()
            total += (true == value).sum()
    assert 0.05 < wrong / total < 0.8, "it is wrong, and not hopelessly so"


def test_of_thin_structures_one_in_twenty_is_missed() -> None:
    lines = np.zeros((400, 400), np.uint8)
    lines[8::16] = 4
    pieces = list(oracle.thin_pieces(lines == 4))
    assert len(pieces) == 25 * 13
    assert np.array_equal(sum(piece.astype(int) for piece in pieces), lines == 4)
    disc = np.hypot(*np.mgrid[-40:40, -40:40]) < 30
    assert sum(piece.sum() for piece in oracle.thin_pieces(disc)) < 0.02 * disc.sum()
    full = Box(0, 0, 400, 400)
    shares = []
    for seed in range(8):
        made = oracle.painted(lines, full, "a", seed)
        shares.append((made == 4).sum() / (lines == 4).sum())
    # what lies elsewhere is about as much as before; what is missing is missing
    assert 0.9 < np.mean(shares) < 0.98


def test_the_cost_of_a_tile() -> None:
    mask = np.zeros((10, 12), np.uint8)
    mask[2:6, 3:8] = 4
    mask[8, :] = 255
    found = oracle.cost(mask)
    assert (found.foreground, found.pixels(4), found.pixels(2)) == (20, 20, 0)
    assert oracle.boundary_length(mask) == 2 * (4 + 5)
    assert found.seconds == pytest.approx(
        oracle.TILE_SECONDS + 18 * oracle.BOUNDARY_SECONDS
    )
    assert oracle.cost(np.zeros((9, 9), np.uint8)).seconds == oracle.TILE_SECONDS


def pool(seed: int = 0) -> dict[Place, np.ndarray]:
    made = phantom(seed, 256, 256).labels
    return tiles_of(made, list(TileGrid(256, 256, 64)), "a.png")


def test_start_sets_show_every_label_and_hang_on_the_seed() -> None:
    tiles = pool()
    sets = [start_set(tiles, [2, 4], 4, seed) for seed in range(20)]
    assert sets == [start_set(tiles, [2, 4], 4, seed) for seed in range(20)]
    assert len({tuple(chosen) for chosen in sets}) > 10
    for chosen in sets:
        assert len(set(chosen)) == 4
        shown = np.unique(np.concatenate([tiles[p].ravel() for p in chosen]))
        assert {2, 4} <= set(shown.tolist())
    with pytest.raises(ClientError, match="start_tiles"):
        start_set(tiles, [2, 77], 4, 0)
    with pytest.raises(ClientError, match="start_tiles"):
        start_set(tiles, [2], 17, 0)


def test_draws_by_truth_follow_their_shares() -> None:
    tiles = {Place("a", n): np.zeros((8, 8), np.uint8) for n in range(40)}
    tiles[Place("a", 7)][2:6, 2:6] = 3
    tiles[Place("a", 9)][:] = 2
    parts: Counter[str] = Counter()
    for seed in range(400):
        (drawn,) = by_truth(tiles, 2 / 3, 1, (seed, 1))
        parts[drawn.component] += 1
        if drawn.component in ("inside:3", "border:3"):
            assert drawn.place == Place("a", 7)
        # a label without a border inside any tile has none to be drawn at
        assert drawn.component != "border:2"
    assert 100 < parts["random"] < 170
    assert parts["inside:2"] + parts["inside:3"] == pytest.approx(133, abs=35)
    assert parts["border:3"] == pytest.approx(133, abs=35)
    every = by_truth(tiles, 1 / 3, 99, (0, 1))
    assert len({item.place for item in every}) == 40
    assert place_of(str(Place("b:c.png", 12))) == Place("b:c.png", 12)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('oracle = "perfect"', 'oracle = "drunk"', "oracle: Input should be"),
        ("query_size = 3", "query_sizes = 3", "query_size: Field required"),
        ('name = "entropy"', 'name = "Entropy"', "strategies.1.name"),
        ('name = "entropy"', 'name = "full"', "full is run for every seed"),
        ('name = "foreground-random-66"', 'name = "x"', "baseline: foreground"),
        ("most_tiles = 10", "most_tiles = 5", "must leave room"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "named once"),
        ("seeds = [0, 1]", "seeds = [0, 1", "is no TOML"),
        ("value = 4", "", "labels: state the value"),
        ('phantom = "liver"', "", "either `folder` or `phantom`"),
        ("edge = 256", "edge = 2", "data.edge"),
    ],
)
def test_a_wrong_plan_names_its_field(
    tmp_path: Path, before: str, after: str, said: str
) -> None:
    text = 'oracle = "perfect"\n' + (ROOT / "experiments/smoke.toml").read_text()
    assert before in text
    file = tmp_path / "plan.toml"
    file.write_text(text.replace(before, after, 1))
    with pytest.raises(ClientError) as caught:
        plan.read(file)
    assert said in str(caught.value)


def test_a_folder_of_images_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    greys, masks = {}, {}
    for name in ("a", "b", "c"):
        greys[name] = rng.integers(0, 256, (130, 140), np.uint8)
        masks[name] = rng.choice(np.array([0, 7, 9, 255], np.uint8), (130, 140))
        for folder, array in (("images", greys[name]), ("labels", masks[name])):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / folder / f"{name}.png")
    text = (ROOT / "experiments/smoke.toml").read_text()
    start, end = text.index("[data]"), text.index("[stop]")
    data = """[data]
folder = "$THERE"
pool = ["a"]
validation = ["b"]
test = ["c"]
crop = 100
map = { 7 = "ER", 9 = "background" }

"""
    file = tmp_path / "plan.toml"
    file.write_text(text[:start] + data + text[end:])
    with pytest.raises(ClientError, match="set the variable"):
        plan.read(file)
    monkeypatch.setenv("THERE", str(tmp_path))
    made = plan.read(file)
    (first, *_) = known_images(made)
    inner = slice(15, 115), slice(20, 120)
    assert np.array_equal(first.grey, greys["a"][inner])
    expected = np.select([masks["a"] == 7, masks["a"] == 255], [4, 255], 0)
    assert np.array_equal(first.truth, expected[inner])
    digest = made.digest
    text = file.read_text().replace("seeds = [0, 1]", "seeds = [5]")
    file.write_text(text)
    assert plan.read(file).digest == digest
    file.write_text(text.replace("crop = 100", "crop = 128"))
    assert plan.read(file).digest != digest
    file.write_text(text.replace('"ER", 9', '"nothing", 9'))
    with pytest.raises(ClientError, match=r"data\.map"):
        plan.read(file)


@pytest.mark.parametrize("file", sorted((ROOT / "experiments").glob("*.toml")))
def test_the_experiments_at_hand_are_sound(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("images", "labels"):
        (tmp_path / "vnc_drosophila_sstem" / folder).mkdir(parents=True)
    monkeypatch.setenv("CISTERNA_REAL_DATA", str(tmp_path))
    made = plan.read(file)
    assert made.name == file.stem
    assert made.rounds >= 2
