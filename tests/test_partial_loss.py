"""A loss on sets: nnU-Net's own for one class, silent where all are allowed."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="the worker extra is not installed")
pytest.importorskip("nnunetv2", reason="the worker extra is not installed")

import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor

from worker.nnunet.losses import SetLoss

CLASSES = 4
SINGLES = tuple((number,) for number in range(CLASSES))
EVERY = tuple(range(CLASSES))
IGNORE = CLASSES
PARTIAL = ((0, 1, 2), (0, 3), (0, 2))
SETS = (*SINGLES, EVERY, *PARTIAL)


def stock(batch_dice: bool) -> DC_and_CE_loss:
    """The loss of nnU-Net's trainer with an ignore label."""
    return DC_and_CE_loss(
        {"batch_dice": batch_dice, "smooth": 1e-5, "do_bg": False, "ddp": False},
        {},
        ignore_label=IGNORE,
        dice_class=MemoryEfficientSoftDiceLoss,
    )


def batch(seed: int, codes: Sequence[int], scale: float = 3.0) -> tuple[Tensor, Tensor]:
    """Logits (2, 4, 6, 5) and targets (2, 1, 6, 5), some of each code."""
    random = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn((2, CLASSES, 6, 5), generator=random)
    chosen = torch.randint(len(codes), (2, 1, 6, 5), generator=random)
    target = torch.tensor(codes)[chosen].to(torch.int16)
    return logits.requires_grad_(), target


def gradient(loss: Tensor, of: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, of)
    return found


CODES = st.lists(st.integers(0, len(SETS) - 1), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 999),
    st.lists(st.integers(0, IGNORE), min_size=1, max_size=5),
    st.booleans(),
    st.sampled_from([SETS, SETS[: IGNORE + 1]]),
    st.sampled_from([0.1, 3.0, 30.0]),
)
def test_of_single_classes_it_is_nnunets_loss(
    seed: int,
    codes: list[int],
    batch_dice: bool,
    sets: Sequence[Sequence[int]],
    scale: float,
) -> None:
    logits, target = batch(seed, codes, scale)
    ours = SetLoss(sets, batch_dice=batch_dice)(logits, target)
    theirs = stock(batch_dice)(logits, target)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        gradient(ours, logits), gradient(theirs, logits), rtol=1e-4, atol=1e-6
    )


@given(st.integers(0, 999), CODES)
def test_the_cross_entropy_is_that_of_the_summed_probability(
    seed: int, codes: list[int]
) -> None:
    logits, target = batch(seed, codes)
    loss = SetLoss(SETS, batch_dice=True)
    log_p = logits.double().log_softmax(1)
    found = loss.surprise(log_p, target[:, 0].long())
    p = log_p.exp()
    for code in set(codes):
        here = target[:, 0] == code
        mass = p[:, list(SETS[code])].sum(1)
        torch.testing.assert_close(found[here], -mass[here].log())
    assert (found > -1e-9).all()


@given(st.integers(0, 999), CODES, st.booleans())
def test_pixels_that_may_be_anything_teach_nothing(
    seed: int, codes: list[int], batch_dice: bool
) -> None:
    logits, target = batch(seed, [*codes, IGNORE])
    loss = SetLoss(SETS, batch_dice=batch_dice)
    first = loss(logits, target)
    ignored = (target == IGNORE).expand(logits.shape)
    assert (gradient(first, logits)[ignored] == 0).all()
    others = torch.where(ignored, -logits.detach(), logits)
    torch.testing.assert_close(loss(others, target), first)


@given(st.integers(0, 999), CODES)
def test_classes_that_a_pixel_may_be_are_not_told_apart(
    seed: int, codes: list[int]
) -> None:
    """Probability that moves between them changes nothing."""
    logits, target = batch(seed, codes)
    loss = SetLoss(SETS, batch_dice=True)
    p = logits.softmax(1).detach()
    for code in set(codes) - set(range(CLASSES)):
        classes = list(SETS[code])
        moved = p.clone()
        moved[:, classes] = p[:, classes].roll(1, dims=1)
        here = target == code
        other = torch.where(here, moved, p)
        torch.testing.assert_close(loss(other.log(), target), loss(p.log(), target))


@given(st.integers(0, 999), CODES, st.permutations(range(1, CLASSES)))
def test_the_order_of_the_labels_does_not_matter(
    seed: int, codes: list[int], order: list[int]
) -> None:
    logits, target = batch(seed, codes)
    place = [0, *order]
    turned = [tuple(place.index(c) for c in classes) for classes in SETS]
    one = SetLoss(SETS, batch_dice=True)(logits, target)
    other = SetLoss(turned, batch_dice=True)(logits[:, place], target)
    torch.testing.assert_close(one, other)


def test_no_mass_at_all_is_a_finite_loss() -> None:
    """Even in half precision: it is a network's first step that matters most."""
    logits = torch.full((1, CLASSES, 2, 2), -60.0)
    logits[:, 3] = 60.0
    target = torch.full((1, 1, 2, 2), IGNORE + 1, dtype=torch.int16)  # 0, 1 or 2
    for kind in (torch.float32, torch.bfloat16, torch.float16):
        seen = logits.to(kind).requires_grad_()
        loss = SetLoss(SETS, batch_dice=True)(seen, target)
        assert float(loss.detach()) == pytest.approx(120 - 1.1 - 1, abs=1.5)
        found = gradient(loss, seen)
        assert torch.isfinite(found).all()
        assert (found[:, 3] > 0).all()
        assert (found[:, :3] <= 0).all()


def test_a_label_counts_only_where_it_is_known() -> None:
    """The tile for label 3 says nothing of label 1, whatever is predicted there."""
    target = torch.tensor([[[[1, 0, IGNORE + 1, 3]]]], dtype=torch.int16)
    loss = SetLoss(SETS, batch_dice=True)
    log_p = torch.full((1, CLASSES, 1, 4), 0.25).log()
    both, said, true = loss.overlap(log_p, target[:, 0].long())
    torch.testing.assert_close(both[0], torch.tensor([0.25, 0, 0.25]))
    torch.testing.assert_close(said[0], torch.tensor([0.75, 0.75, 1.0]))
    torch.testing.assert_close(true[0], torch.tensor([1.0, 0, 1.0]))
