"""nnU-Net's loss for targets that are sets: cross entropy and Dice of what is known.

A pixel's target says which classes it may be. Its cross entropy is −log of their joint
probability, and its Dice counts a class only where the target says yes or no to it
(Shi et al., Medical Image Analysis 70:101979, 2021, and Fidon et al.,
arXiv:2107.03846). One allowed class is nnU-Net's own loss, all of them its *ignore*.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_SMOOTH = 1e-5  # nnU-Net's


class SetLoss(nn.Module):
    """nnU-Net's Dice and cross entropy on codes; `sets` are the classes each allows.

    With `batch_dice` the Dice is that of all pixels of a batch, else the mean of its
    patches.
    """

    allowed: Tensor
    """(codes, classes) bool: whether a pixel of this code may be this class."""
    known: Tensor
    """(codes, labels) bool: whether the code says for certain if it is this label."""
    told: Tensor
    """(codes,) bool: whether the code rules any class out."""
    single: Tensor
    """(codes,) the only class that the code allows, or −1."""

    def __init__(self, sets: Sequence[Sequence[int]], *, batch_dice: bool) -> None:
        super().__init__()
        allowed = torch.zeros((len(sets), max(map(len, sets))), dtype=torch.bool)
        for code, classes in enumerate(sets):
            allowed[code, list(classes)] = True
        is_single = allowed.sum(1) == 1
        single = torch.where(is_single, allowed.int().argmax(1), -1)
        self.register_buffer("allowed", allowed)
        self.register_buffer("known", ~allowed[:, 1:] | is_single[:, None])
        self.register_buffer("told", ~allowed.all(1))
        self.register_buffer("single", single)
        self.batch_dice = batch_dice

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of (B, classes, H, W) logits and (B, 1, H, W) codes.

        It is 1 − Dice, less 1 as nnU-Net has it, plus the mean cross entropy of the
        pixels that rule anything out.
        """
        log_p = logits.float().log_softmax(1)  # half precision would lose small masses
        codes = target[:, 0].long()
        lost = self.surprise(log_p, codes)
        cross_entropy = lost.sum() / self.told[codes].sum().clamp(min=1)
        both, said, true = self.overlap(log_p, codes)
        if self.batch_dice:
            both, said, true = both.sum(0), said.sum(0), true.sum(0)
        dice = (2 * both + _SMOOTH) / (said + true + _SMOOTH)
        return cross_entropy - dice.mean()

    def surprise(self, log_p: Tensor, codes: Tensor) -> Tensor:
        """Return (B, H, W): −log of the probability of all classes a pixel may be.

        `log_p` are (B, classes, H, W) log-probabilities, `codes` (B, H, W).
        """
        single = self.single[codes]
        lost = -log_p.gather(1, single.clamp(min=0)[:, None])[:, 0] * (single >= 0)
        open_ = (single < 0) & self.told[codes]
        if not open_.any():
            return lost
        closed = ~self.allowed[codes[open_]]
        mass = log_p.movedim(1, -1)[open_].masked_fill(closed, -torch.inf).logsumexp(1)
        return lost.masked_scatter(open_, -mass)

    def overlap(self, log_p: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return soft counts (B, labels) where a label is known: both, said, true."""
        labels = torch.arange(1, log_p.shape[1], device=log_p.device)
        true = self.single[codes][:, None] == labels[:, None, None]
        p = log_p[:, 1:].exp()
        both = (p * true).sum((2, 3))
        said = (p * self.known[codes].movedim(-1, 1)).sum((2, 3))
        return both, said, true.sum((2, 3)).float()
