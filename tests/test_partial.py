"""Tiles complete for some labels only, through nnU-Net: sets of classes as targets."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from phantom_fixtures import ER, NUCLEUS, Picture, picture

pytest.importorskip("torch", reason="the worker extra is not installed")
pytest.importorskip("nnunetv2", reason="the worker extra is not installed")

import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from test_nnunet import DISC, SCHEMA, STRIPE, prepared, training_data

from backend.domain.labels import LIVER, UNKNOWN
from worker.messages import pack_training, unpack_training
from worker.nnunet import training
from worker.nnunet.dataset import build, refuse_hopeless
from worker.nnunet.model import open_model
from worker.nnunet.monitor import monitor
from worker.nnunet.numbering import Numbering
from worker.nnunet.planner import find_profile
from worker.nnunet.sweep import sweep
from worker.nnunet.team import Task
from worker.nnunet.training import train
from worker.segmenter import Budget, SegmenterError, TrainingData, TrainingTile

PATCH = (128, 128)
NOT_DISC, NOT_STRIPE = 4, 5
"""Codes after background, both labels and ignore, in order of the tiles."""


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nnU-Net keeps its things when it runs in this process."""
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    small = replace(find_profile("cpu", 256), features=4)
    monkeypatch.setattr(training, "find_profile", lambda name, tile: small)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """Tiles complete for both labels."""
    return training_data(tmp_path_factory.mktemp("data"))


def only(tile: TrainingTile, value: int, folder: Path) -> TrainingTile:
    """Return a tile as somebody leaves it who looked for one label."""
    truth = np.load(tile.target)
    path = folder / f"only-{value}-{tile.target.name}"
    np.save(path, np.where(truth == value, truth, np.uint8(0)))
    return replace(tile, target=path, complete_for=(value,))


@pytest.fixture
def mixed(whole: TrainingData, folders: Path) -> TrainingData:
    """The first tile for discs, the second for stripes, three for both, one to watch
    for stripes."""
    first, second, *others = whole.tiles
    return replace(
        whole,
        tiles=(only(first, DISC, folders), only(second, STRIPE, folders), *others),
        validation=(only(whole.validation[0], STRIPE, folders),),
        cases=folders / "shelf",
    )


def inside(dataset_folder: Path, identifier: str) -> NDArray[np.int16]:
    """The codes of a case's own tile."""
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

    loader = nnUNetDatasetBlosc2(str(dataset_folder))
    _, codes, _, properties = loader.load_case(identifier)
    top, left, height, width = properties["tile"]
    found: NDArray[np.int16] = codes[0, 0, top : top + height, left : left + width]
    return found


def test_a_zero_is_the_set_of_what_it_may_be(
    mixed: TrainingData, whole: TrainingData, folders: Path
) -> None:
    made = build(mixed, folders / "made", PATCH)
    assert made.sets == ((0,), (1,), (2,), (0, 1, 2), (0, 2), (0, 1))
    first, second = (np.load(tile.target) for tile in whole.tiles[:2])
    np.testing.assert_array_equal(
        inside(made.folder, "tile_00000"), np.where(first == DISC, 1, NOT_DISC)
    )
    np.testing.assert_array_equal(
        inside(made.folder, "tile_00001"), np.where(second == STRIPE, 2, NOT_STRIPE)
    )
    assert set(np.unique(inside(made.folder, "tile_00002"))) == {0, 1, 2}
    worth = {case.identifier: case.labelled for case in made.cases}
    discs = int((first == DISC).sum())
    assert worth["tile_00000"] == pytest.approx(discs + (128**2 - discs) / 3, abs=1)
    assert worth["tile_00002"] == 128**2
    assert [case.complete_for for case in made.cases][:3] == [(DISC,), (STRIPE,), None]


def test_labels_nobody_painted_are_not_among_what_a_zero_may_be(
    mixed: TrainingData, folders: Path
) -> None:
    """Else the network's answer between them and background would be chance."""
    made = build(replace(mixed, tiles=mixed.tiles[:1]), folders / "made", PATCH)
    assert made.sets[NOT_DISC] == (0,)
    assert made.sets[NOT_STRIPE] == (0, 1)


def test_a_tile_complete_for_nothing_teaches_what_is_painted(
    whole: TrainingData, folders: Path
) -> None:
    silent = replace(whole.tiles[0], complete_for=())
    made = build(replace(whole, tiles=(silent,)), folders / "made", PATCH)
    assert len(made.sets) == 4
    assert set(np.unique(inside(made.folder, "tile_00000"))) == {1, 2, 3}


def test_what_a_case_may_be_prepares_it_again(
    mixed: TrainingData, folders: Path
) -> None:
    build(mixed, folders / "first", PATCH)
    # the neighbours see a tile in their margin: all of that image are prepared again
    other = replace(mixed.tiles[0], complete_for=(DISC, STRIPE))
    changed = replace(mixed, tiles=(other, *mixed.tiles[1:]))
    made = build(changed, folders / "second", PATCH)
    assert made.prepared >= 1
    assert set(np.unique(inside(made.folder, "tile_00000"))) == {0, 1}


def test_later_tiles_change_no_earlier_code(mixed: TrainingData) -> None:
    first = replace(mixed, tiles=mixed.tiles[:1], validation=())
    known, more = Numbering.of(first).partial, Numbering.of(mixed).partial
    assert (known, more) == ((frozenset({0, STRIPE}),), (*known, frozenset({0, DISC})))


def test_what_is_learnt_is_asked_anew_when_a_tile_is_complete_for_more(
    mixed: TrainingData,
) -> None:
    more = replace(mixed.tiles[0], complete_for=(DISC, STRIPE))
    changed = replace(mixed, tiles=(more, *mixed.tiles[1:]))
    asked = [training._asked(data, None, Budget(1)) for data in (mixed, changed)]
    assert asked[0] != asked[1]
    assert json.loads(json.dumps(asked)) == asked


def test_what_tiles_are_complete_for_travels(
    mixed: TrainingData, folders: Path
) -> None:
    sent = json.loads(json.dumps(pack_training(mixed)))
    assert unpack_training(sent) == mixed
    made = build(mixed, folders / "made", PATCH)
    task = Task({}, {}, made, 0, {}, frozenset(), smaller=False)
    assert Task.unpack(json.loads(json.dumps(task.pack()))).dataset.sets == made.sets


def test_codes_survive_augmentation(mixed: TrainingData, folders: Path) -> None:
    """Rotated, scaled, mirrored, downsampled: no value appears that was not there."""
    trainer = prepared(replace(mixed, tiles=mixed.tiles[:2]), folders)
    trainer.start(0)
    found: set[int] = set()
    for _ in range(15):
        for target in next(trainer.dataloader_train)["target"]:
            found |= set(target.unique().tolist())
    assert found == {1, 2, 3, NOT_DISC, NOT_STRIPE}


def test_a_label_is_forced_only_where_it_is_painted(
    mixed: TrainingData, folders: Path
) -> None:
    trainer = prepared(replace(mixed, tiles=mixed.tiles[:2]), folders)
    trainer.start(0)
    loader = trainer.dataloader_train.data_loader
    shown = {label: list(cases) for label, cases in loader._present.items()}
    assert shown == {1: [True, False], 2: [False, True]}


def test_the_trainers_loss_is_nnunets_where_pixels_have_one_class(
    whole: TrainingData, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = prepared(whole, folders)
    trainer.start(0)
    batch = next(trainer.dataloader_train)
    output = [
        torch.randn((len(target), 3, *target.shape[2:])) for target in batch["target"]
    ]
    stock = super(type(trainer), trainer)._build_loss()
    assert isinstance(stock.loss, DC_and_CE_loss)
    torch.testing.assert_close(
        trainer.loss(output, batch["target"]), stock(output, batch["target"])
    )


def test_the_monitor_asks_a_label_only_where_it_is_known(
    mixed: TrainingData, folders: Path
) -> None:
    """The tile to watch is for stripes: discs said there are no mistake."""
    trainer = prepared(mixed, folders)
    _, watch = trainer.get_tr_and_val_datasets()
    _, target, _, properties = watch.load_case(watch.identifiers[0])
    top, left, *_ = properties["tile"]
    margin = 96 // 4

    def saying(number: int) -> dict[str, float | None]:
        """Scores of a network that knows the stripes and calls all else `number`."""

        class Oracle(torch.nn.Module):
            def forward(self, seen: torch.Tensor) -> list[torch.Tensor]:
                y, x = max(0, top - margin), max(0, left - margin)
                height, width = seen.shape[2:]
                near = target[0, 0, y : y + height, x : x + width] == 2
                stripes = np.zeros((height, width), bool)
                stripes[: near.shape[0], : near.shape[1]] = near
                logits = torch.full((1, 3, height, width), -20.0)
                logits[0, number] = 20.0
                logits[0, :, torch.from_numpy(stripes)] = torch.tensor(
                    [[-20.0], [-20.0], [20.0]]
                )
                return [logits]

        return monitor(trainer, Oracle(), SCHEMA.names)

    for number in (0, 1):
        scores = saying(number)
        assert scores["validation_loss"] == pytest.approx(0, abs=1e-5)
        assert scores["validation_dice/stripe"] == pytest.approx(1)
        assert scores["validation_dice/disc"] is None
    wrong = saying(2)["validation_loss"]
    assert wrong is not None
    assert wrong > 10


@pytest.mark.parametrize(
    ("complete_for", "painted", "says"),
    [
        ((), DISC, "may have the same value"),
        ((STRIPE,), DISC, "may have the same value"),
        ((STRIPE,), UNKNOWN, "may have the same value"),
        ((), UNKNOWN, "marked unknown"),
        ((DISC,), DISC, None),
    ],
)
def test_disc_or_not_is_enough_to_learn_from(
    whole: TrainingData,
    folders: Path,
    complete_for: tuple[int, ...],
    painted: int,
    says: str | None,
) -> None:
    path = folders / "target.npy"
    mask = np.zeros((128, 128), np.uint8)
    mask[:9] = painted
    np.save(path, mask)
    tile = replace(whole.tiles[0], target=path, complete_for=complete_for)
    data = replace(whole, tiles=(tile,), validation=())
    if says is None:
        refuse_hopeless(data)
        return
    with pytest.raises(SegmenterError, match=says):
        refuse_hopeless(data)


def test_many_labels_and_sets_have_codes_of_their_own() -> None:
    values = tuple(range(1, 255))
    partial = tuple(frozenset({0, value}) for value in values)
    numbering = Numbering(values, partial)
    zeros = [numbering.zero(may_be) for may_be in partial]
    assert len({*zeros, *range(numbering.ignore + 1)}) == 2 * 254 + 2
    found = numbering.encode(np.array([0, 254, UNKNOWN], np.uint8), zeros[-1])
    assert found.tolist() == [zeros[-1], 254, 255]
    assert numbering.sets(range(1, 255))[zeros[-1]] == (0, 254)


def test_er_only_tiles_with_nuclei_do_not_cost_nuclei(folders: Path) -> None:
    """A trained model goes on with tiles for the ER, in which nuclei are not painted.

    The same tiles do cost it nuclei if what is not ER is taken for background.
    """
    pictures = {n: picture(folders, n, 512, tile=256) for n in (0, 1, 2, 9)}
    images = {made.data.id: made.data for made in pictures.values()}
    start = TrainingData(LIVER, images, (pictures[0].tile(0),), (), 32.0, 0)
    asked_for_er = tuple(
        pictures[seed].tile(place, ER, (ER,)) for seed in (1, 2) for place in range(4)
    )

    def went_on(tiles: tuple[TrainingTile, ...]) -> TrainingData:
        return replace(
            start,
            tiles=(*start.tiles, *tiles),
            fresh=frozenset(tile.annotation_id for tile in tiles),
            emphasis={ER: 1.0},
        )

    naive = tuple(replace(tile, complete_for=None) for tile in asked_for_er)
    before = nuclei(learn(start, folders / "before", None), pictures[9], folders)
    found = {
        name: nuclei(
            learn(went_on(tiles), folders / name, folders / "before"),
            pictures[9],
            folders,
        )
        for name, tiles in (("sets", asked_for_er), ("naive", naive))
    }
    assert before[0] > 0.8
    assert found["sets"][0] > before[0] - 0.03
    assert found["sets"][1] > before[1] - 0.05  # not by calling everything a nucleus
    assert found["naive"][0] < before[0] - 0.3


def learn(data: TrainingData, into: Path, start_from: Path | None) -> Path:
    done = train(
        data, into, start_from, "cpu", Budget(60), lambda told: None, lambda: False
    )
    assert done is not None
    return into


def nuclei(model: Path, unseen: Picture, scratch: Path) -> tuple[float, float]:
    """Recall and precision of nuclei on a phantom nobody learnt from."""
    into = scratch / f"{model.name}-sweep"
    into.mkdir()
    sweep(open_model(model), unseen.data, 256, into, lambda part: None, lambda: None)
    said = np.load(into / "labels.npy")
    is_right = (unseen.labels == NUCLEUS)[said == NUCLEUS]
    precision = float(is_right.mean()) if is_right.size else 0.0
    return unseen.recall(said)[NUCLEUS], precision
