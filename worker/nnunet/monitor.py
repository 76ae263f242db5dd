"""How good a network in training is on tiles it does not learn from.

It is looked at often, so it has to be cheap: a few tiles, each seen once.
"""

from collections.abc import Iterator
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worker.nnunet.device import precision
from worker.nnunet.losses import SetLoss
from worker.nnunet.trainer import TileTrainer

Scores = dict[str, float | None]

_TILES = 24
_BLOCK = 512
"""Larger tiles are looked at in blocks."""


def monitor(trainer: TileTrainer, network: nn.Module, names: tuple[str, ...]) -> Scores:
    """Return a network's loss and Dice per label on the trainer's validation tiles.

    The keys are `validation_loss` and `validation_dice/<label>`; without validation
    tiles the training tiles are scored and the keys say `training_`. At most 24 tiles
    are looked at, always the same. Their annotated pixels are pooled, for each label
    those where it is known. The loss is 1 − soft Dice, mean over the labels that occur,
    plus the cross entropy, as in training; the Dice is None where a label occurs
    neither in the annotations nor in the predictions.
    """
    learn, watch = trainer.get_tr_and_val_datasets()
    kind, cases = ("validation", watch) if watch.identifiers else ("training", learn)
    every = ceil(len(cases.identifiers) / _TILES)
    loss = SetLoss(trainer.dataset.sets, batch_dice=True)
    labels = torch.arange(1, len(names) + 1)[:, None, None]
    counts = torch.zeros((5, len(names)), dtype=torch.float64)
    lost, told = 0.0, 0
    network.eval()
    for identifier in cases.identifiers[::every]:
        pixels, target, _, properties = cases.load_case(identifier)
        top, left, height, width = properties["tile"]
        inside = np.s_[top : top + height, left : left + width]
        for rows, columns, said in _said(
            trainer, network, pixels[0, 0], properties["tile"]
        ):
            codes = torch.from_numpy(
                target[0, 0][inside][rows, columns].astype(np.int64)
            )
            lost += float(loss.surprise(said[None], codes[None]).double().sum())
            told += int(loss.told[codes].sum())
            is_known = loss.known[codes].movedim(-1, 0)
            chosen, is_label = (said.argmax(0) == labels) & is_known, codes == labels
            parts = (chosen & is_label, chosen)
            hard = [part.double().sum((1, 2)) for part in parts]
            soft = [part[0].double() for part in loss.overlap(said[None], codes[None])]
            counts += torch.stack([*hard, *soft])
    both, said_n, soft_both, soft_said, true_n = counts
    occurs = true_n > 0
    dice = 2 * soft_both[occurs] / (soft_said + true_n)[occurs]
    scores: Scores = {
        f"{kind}_loss": 1 - float(dice.mean()) + lost / told if len(dice) else None
    }
    for i, name in enumerate(names):
        total = float(said_n[i] + true_n[i])
        scores[f"{kind}_dice/{name}"] = 2 * float(both[i]) / total if total else None
    return scores


def _said(
    trainer: TileTrainer,
    network: nn.Module,
    pixels: NDArray[np.float32],
    tile: tuple[int, int, int, int],
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield (rows, columns) of the tile and (C + 1, h, w) log-probabilities there.

    A block is seen with a margin of a quarter patch, and at least as large as a patch.
    """
    top, left, height, width = tile
    patch = trainer.configuration_manager.patch_size
    strides = np.prod(trainer.configuration_manager.pool_op_kernel_sizes, axis=0)
    for y in range(0, height, _BLOCK):
        for x in range(0, width, _BLOCK):
            h, w = min(_BLOCK, height - y), min(_BLOCK, width - x)
            rows, above = _seen(top + y, h, patch[0])
            columns, before = _seen(left + x, w, patch[1])
            seen = pixels[rows, columns]
            room = [
                max(edge, ceil(n / stride) * stride) - n
                for n, edge, stride in zip(seen.shape, patch, strides, strict=True)
            ]
            window = np.pad(seen, [(0, int(n)) for n in room])
            there = torch.from_numpy(window)[None, None].to(trainer.device)
            with torch.inference_mode(), precision(trainer.device)():
                logits = network(there)[0][0]  # the finest of its outputs
            part = logits[:, above : above + h, before : before + w]
            yield np.s_[y : y + h], np.s_[x : x + w], part.float().log_softmax(0).cpu()


def _seen(start: int, length: int, patch: int) -> tuple[slice, int]:
    """Return what is seen of one axis, and how far into it the block starts."""
    first = max(0, start - patch // 4)
    return slice(first, start + length + patch // 4), start - first
