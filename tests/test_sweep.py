"""A sweep's parts: forms of a network, windows, and files written row by row."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the worker extra is not installed")
pytest.importorskip("nnunetv2", reason="the worker extra is not installed")

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import Tensor, nn

from backend.domain.geometry import Box
from worker.nnunet import forms
from worker.nnunet.files import SweepFiles
from worker.nnunet.forms import PLAIN, Form, InstanceNorm, candidates, fastest
from worker.nnunet.model import Model
from worker.nnunet.resampling import WorkingImage
from worker.nnunet.sweep import WINDOW, sweep, window_of
from worker.nnunet.windows import FLIPS, Ensemble, bands, pairs, starts, window_edge
from worker.segmenter import Crops, ImageData

CPU = torch.device("cpu")


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    made: nn.Module = PlainConvUNet(
        1,
        3,
        (8, 16, 32),
        nn.Conv2d,
        3,
        (1, 2, 2),
        1,
        3,
        1,
        conv_bias=True,
        norm_op=nn.InstanceNorm2d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=False,
    )
    return made


@pytest.mark.parametrize("form", candidates(CPU))
def test_every_form_says_the_same(form: Form) -> None:
    window = torch.randn(2, 1, 96, 64)
    plain, original = network(), network()
    with torch.inference_mode():
        wanted = plain(window).softmax(1)
        found = form.prepare(original)(form.take(window)).float().softmax(1)
        assert torch.equal(original(window).softmax(1), wanted)  # it was left alone
    atol = 1e-4 if form.dtype is torch.float32 else 0.05
    torch.testing.assert_close(found, wanted, atol=atol, rtol=0)


@pytest.mark.parametrize("shape", [(2, 8, 64, 32), (1, 64, 8, 8), (1, 4, 31, 33)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_quick_norm_is_the_instance_norm(
    shape: tuple[int, ...], layout: torch.memory_format
) -> None:
    norm = nn.InstanceNorm2d(shape[1], affine=True, eps=1e-3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = (3 + 5 * torch.randn(shape)).to(memory_format=layout)
    torch.testing.assert_close(InstanceNorm(norm)(x), norm(x), atol=1e-4, rtol=1e-4)


class Refuses(nn.Module):
    """Takes float32 alone."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype is not torch.float32:
            raise RuntimeError("not implemented for this type")
        return x * self.weight


def test_a_form_that_fails_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    window = torch.randn(1, 1, 32, 32)
    assert fastest(Refuses(), window).dtype is torch.float32
    half = Form(torch.float64, torch.contiguous_format)
    monkeypatch.setattr(forms, "candidates", lambda device: [half])
    with pytest.raises(RuntimeError, match="not implemented"):
        fastest(Refuses(), window)


def test_the_fastest_form_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Form] = []
    *others, last = candidates(CPU)

    def pace(form: Form, *_: object) -> float:
        tried.append(form)
        return 1.0 if form == last else 2.0

    monkeypatch.setattr(forms, "_pace", pace)
    ensemble = Ensemble([network()], CPU)
    for _ in range(2):
        ensemble.look(torch.randn(1, 1, 64, 64))
    assert ensemble.form == last
    assert tried == [*others, last]


def test_members_take_turns_on_a_processor() -> None:
    assert pairs(1, CPU) == [(0, flip) for flip in FLIPS]
    assert [network for network, _ in pairs(3, CPU)] == [0, 1, 2, 0]
    assert [network for network, _ in pairs(6, CPU)] == [0, 1, 2, 3, 4, 5]
    assert {flip for _, flip in pairs(3, CPU)} == set(FLIPS)
    gpu = torch.device("cuda")
    assert set(pairs(2, gpu)) == {(n, flip) for n in (0, 1) for flip in FLIPS}


@given(
    st.integers(1, 3000),
    st.sampled_from([32, 96, 128, 512]),
    st.sampled_from([64, 128, 256, 500, 512]),
    st.sampled_from([0.0, 0.125, 0.25, 0.5]),
    st.sampled_from([16, 32]),
)
def test_windows_are_as_small_as_their_number_allows(
    length: int, patch: int, wanted: int, overlap: float, stride: int
) -> None:
    edge = window_edge(length, patch, wanted, overlap, stride)
    most = max(patch, wanted // stride * stride)
    assert edge % stride == 0
    assert patch <= edge <= most
    corners = starts(length, edge, overlap)
    assert len(corners) == len(starts(length, most, overlap))
    assert corners[-1] + edge >= length
    assert all(0 < b - a <= edge * (1 - overlap) + 1 for a, b in pairwise(corners))


def test_bands_are_thin_and_forget_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image = WorkingImage(
        np.random.default_rng(0).normal(size=(150, 130)).astype(np.float32), 0, 1, 1
    )
    ensemble = Ensemble([network()], CPU, form=PLAIN)
    (whole, *rest) = [*bands(ensemble, image, (160, 160), 0.5)]
    assert not rest
    monkeypatch.setattr("worker.nnunet.windows._PIXELS_AT_ONCE", 7 * 130)
    thin = [*bands(ensemble, image, (160, 160), 0.5)]
    assert {band.shape[1] for band in thin[:-1]} == {7}
    # not bit by bit: vector and scalar parts of a loop round differently
    np.testing.assert_allclose(np.concatenate(thin, axis=1), whole, atol=1e-6)


def test_a_smaller_sweep_halves_the_window_even_below_the_patch(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    np.save(tmp_path / "image.npy", pixels)
    image = ImageData("a", tmp_path / "image.npy", 127.0, 70.0, None)
    seen: list[tuple[int, ...]] = []

    class Watched(Ensemble):
        def look(self, windows: Tensor) -> object:  # type: ignore[override]
            seen.append(tuple(windows.shape[2:]))
            return super().look(windows)

    model = Model(Watched([network()], CPU, form=PLAIN), (3, 7), None, (64, 64), 4)

    def edges(**asked: object) -> set[int]:
        seen.clear()
        sweep(model, image, 64, tmp_path, lambda f: None, lambda: None, **asked)  # type: ignore[arg-type]
        return {edge for shape in seen for edge in shape}

    assert 64 < max(edges(window=128)) <= 128
    assert edges(window=128, smaller=True) == {64}
    assert edges(window=64) == {64}
    assert edges(window=64, smaller=True) == {32}
    assert 64 < window_of(model, (5000, 40))[0] <= WINDOW
    assert window_of(model, (5000, 40))[1] == 64


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 30))
def test_files_hold_what_was_added(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], width: int
) -> None:
    folder = tmp_path_factory.mktemp("files")
    height = sum(cuts)
    random = np.random.default_rng(width)
    planes = random.random((7, height, width)).astype(np.float32)
    planes[:3] /= planes[:3].sum(0)
    with SweepFiles(folder, (height, width), (4, 9)) as files:
        for part in np.split(planes, np.cumsum(cuts)[:-1], axis=1):
            files.add_rows(part)
    labels = np.load(folder / "labels.npy")
    np.testing.assert_array_equal(labels, np.array([0, 4, 9])[planes[:3].argmax(0)])
    mean = np.load(folder / "probabilities.npy")
    np.testing.assert_array_equal(mean, np.rint(planes[:3] * 255))
    for plane, name in ((3, "entropy"), (4, "information")):
        found = np.load(folder / f"{name}.npy")
        np.testing.assert_array_equal(found, planes[plane].astype(np.float16))
    assert labels.dtype == mean.dtype == np.uint8


def test_offsets_move_labels_and_what_follows_from_them_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.nnunet.windows._PIXELS_AT_ONCE", 7 * 200)  # many bands
    pixels = np.random.default_rng(0).integers(0, 256, (150, 200), np.uint8)
    np.save(tmp_path / "image.npy", pixels)
    image = ImageData("a", tmp_path / "image.npy", 127.0, 70.0, None)
    model = Model(Ensemble([network()], CPU, form=PLAIN), (3, 7), None, (64, 64), 4)
    boxes = (Box(0, 0, 64, 64), Box(60, 100, 31, 100), Box(0, 0, 150, 200))

    def run(name: str, offsets: dict[int, float]) -> dict[str, np.ndarray]:
        crops = Crops(tmp_path / f"{name}-crops", boxes)
        sweep(
            model,
            image,
            64,
            tmp_path / name,
            lambda share: None,
            lambda: None,
            offsets=offsets,
            crops=crops,
        )
        found = {
            path.name: np.load(path)
            for folder in (tmp_path / name, crops.folder)
            for path in folder.glob("*.npy")
        }
        with np.load(tmp_path / name / "tiles.npz") as tiles:
            return found | {f"tiles {key}": tiles[key] for key in tiles.files}

    plain, moved = run("plain", {}), run("moved", {7: 0.4})
    p = moved["2.npy"]
    assert p.shape == (3, 150, 200)
    np.testing.assert_allclose(p.sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(moved["0.npy"], p[:, :64, :64])
    np.testing.assert_array_equal(moved["1.npy"], p[:, 60:91, 100:])
    channels = np.array([0, 3, 7])
    delta = np.array([0, 0, 0.4])[:, None, None]
    wanted = (np.log(p.astype(float)) + delta).argmax(0)
    np.testing.assert_array_equal(moved["labels.npy"], channels[wanted])
    np.testing.assert_array_equal(
        plain["labels.npy"], channels[plain["2.npy"].argmax(0)]
    )
    assert (plain["labels.npy"] != moved["labels.npy"]).any()
    np.testing.assert_array_equal(moved["probabilities.npy"], np.rint(p * 255))
    follows = {"labels.npy"} | {
        f"tiles {name}" for name in ("area", "p_missed", "logit_histogram")
    }
    for name in plain:
        # two passes may round differently: threads share out the work anew
        one, other = (run[name].astype(float) for run in (plain, moved))
        assert (name in follows) != np.allclose(one, other, atol=1e-3), name
    assert moved["tiles area"][:, 1].sum() == (moved["labels.npy"] == 7).sum()
    missed = p[2][moved["labels.npy"] != 7].sum(dtype=float)
    assert moved["tiles p_missed"][:, 1].sum() == pytest.approx(missed, rel=1e-5)


def test_pages_let_go_are_read_again(tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.arange(10_000, dtype=np.uint16).reshape(100, -1))
    image = WorkingImage.open(
        ImageData("a", tmp_path / "image.npy", 0.0, 1.0, None), None
    )
    before = image.read(Box(3, 5, 60, 70))
    image.let_go()
    np.testing.assert_array_equal(image.read(Box(3, 5, 60, 70)), before)
