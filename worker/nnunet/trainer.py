"""nnU-Net's trainer, changed where a few sparse tiles and a processor ask for it.

Network, deep supervision and augmentation are nnU-Net's, and so is the loss where a
pixel has one class. AdamW replaces SGD, which needs far more than some hundred steps;
patches keep to the tiles; padding is ignored.
"""

import copy
import logging
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.helpers import empty_cache
from torch import Tensor, nn

from worker.nnunet.dataset import Dataset, check_complete
from worker.nnunet.device import augmentation_processes, pick_device, precision
from worker.nnunet.losses import SetLoss
from worker.nnunet.planner import CONFIGURATION
from worker.nnunet.sampling import TileLoader, batches, ignore_padding, replayed

_EVERY, _SHARE = 5, 0.05
"""Every few steps the average network takes over a part of the trained one: a mean over
about the last hundred steps."""
_log = logging.getLogger(__name__)


class Company(Protocol):
    """Other devices that learn the same network, told what this one does."""

    def go_on(self, step: int, state: dict[str, Any]) -> None:
        """Let all go on from this state."""
        ...

    def learn(self, rate: float) -> None:
        """Let all take a step, with this one."""
        ...


class TileTrainer(nnUNetTrainer):  # type: ignore[misc]
    """One network being trained on annotated tiles, a step at a time.

    `average` follows the network: while the rate is high it is the better of the two,
    and far the steadier to watch. `shown` counts patches by the number of the label
    they were drawn for, 0 for none; `shown_fresh` those of fresh tiles.
    """

    average: nn.Module
    learning: nn.Module
    """The network, or what averages its gradients over the devices of a team."""
    members: int
    team: Company | None
    batch_size: int
    dataset: Dataset
    emphasis: Mapping[int, float]
    fresh: frozenset[str]
    smaller: bool
    seed: int
    shown: Counter[int]
    shown_fresh: int

    @classmethod
    def prepare(
        cls,
        plans: dict[str, Any],
        dataset_json: dict[str, Any],
        dataset: Dataset,
        seed: int,
        *,
        emphasis: Mapping[int, float] | None = None,
        fresh: frozenset[str] = frozenset(),
        smaller: bool = False,
        members: int = 1,
    ) -> "TileTrainer":
        """Return an initialised trainer; nnU-Net finds its folders in the environment.

        The same seed makes the same network. `emphasis` is the share of forced patches
        by label *number*, `fresh` are annotations to show more often than others;
        `smaller` halves the batch, which `members` devices share.
        """
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - nnU-Net draws from it
        trainer = cls(
            {**plans, "continue_training": False},
            CONFIGURATION,
            0,
            dataset_json,
            pick_device(),
        )
        trainer.dataset, trainer.seed = dataset, seed
        trainer.emphasis, trainer.smaller = emphasis or {}, smaller
        trainer.fresh = frozenset(
            case.identifier
            for case in dataset.cases
            if case.learnt and case.annotation_id in fresh
        )
        trainer.shown, trainer.shown_fresh = Counter(), 0
        trainer.members, trainer.team = members, None
        trainer.oversample_foreground_percent = 0.5
        trainer.initialize()
        trainer.set_deep_supervision_enabled(True)
        trainer.learning = trainer.network
        return trainer

    def start(self, step: int) -> None:
        """Make ready to draw batches from `step` on."""
        if step == 0:
            self.average = copy.deepcopy(self.network).requires_grad_(False)
        self._at = step
        if self.team is not None:
            self.team.go_on(step, self.state())
        np.random.seed((self.seed + step) % 2**32)  # noqa: NPY002 - nnU-Net draws from it
        torch.manual_seed(self.seed + step)
        self.dataloader_train = self.get_dataloaders()

    def step(self, rate: float) -> float:
        """Learn from one batch at this learning rate and return the loss.

        The loss is NaN, and nothing was learnt, if a gradient is not finite.
        """
        if self.team is not None:
            self.team.learn(rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        batch = next(self.dataloader_train)
        self.shown.update(batch["labels"])
        self.shown_fresh += sum(case in self.fresh for case in batch["keys"])
        loss = float(self.train_step(batch)["loss"])
        self._at += 1
        if self._at % _EVERY == 0:
            share = max(_SHARE, 4 * _EVERY / (4 * _EVERY + self._at))
            averages, weights = self.average.parameters(), self.network.parameters()
            torch._foreach_lerp_([*averages], [*weights], share)
        return loss

    def finish(self) -> None:
        """Let go of processes and memory."""
        loader, self.dataloader_train = self.dataloader_train, None
        if hasattr(loader, "_finish"):
            loader._finish()
        empty_cache(self.device)

    # What follows overrides nnU-Net.

    def _set_batch_size_and_oversample(self) -> None:
        super()._set_batch_size_and_oversample()
        shares = self.members * (2 if self.smaller else 1)
        self.batch_size = max(1, self.batch_size // shares)

    def _build_loss(self) -> nn.Module:
        """nnU-Net's weights of the resolutions, with the loss for sets of classes."""
        weighted: nn.Module = super()._build_loss()
        batch_dice = self.configuration_manager.batch_dice
        loss = SetLoss(self.dataset.sets, batch_dice=batch_dice)
        weighted.loss = loss.to(self.device)
        return weighted

    def configure_optimizers(self) -> tuple[Any, None]:
        """AdamW; the loop sets its rate."""
        return torch.optim.AdamW(
            self.network.parameters(), weight_decay=1e-2, fused=True
        ), None

    def get_dataloaders(self) -> Any:
        """Return batches of the cases to learn from; refuses if any tile is missing."""
        patch = self.configuration_manager.patch_size
        rotation, flat, initial, mirrored = (
            self.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        transforms = self.get_training_transforms(
            patch,
            rotation,
            self._get_deep_supervision_scales(),
            mirrored,
            flat,
            use_mask_for_norm=self.configuration_manager.use_mask_for_norm,
            foreground_labels=self.label_manager.foreground_labels,
            ignore_label=self.label_manager.ignore_label,
        )
        split, _ = self.do_split()
        cases, _ = self.get_tr_and_val_datasets()
        check_complete(self.dataset, split, cases.identifiers)
        is_fresh = np.array([case in self.fresh for case in cases.identifiers])
        loader = TileLoader(
            cases,
            self.batch_size,
            initial,
            patch,
            self.label_manager,
            oversample_foreground_percent=self.oversample_foreground_percent,
            # nnU-Net forces the last part of each batch: of one patch that is all
            probabilistic_oversampling=self.batch_size == 1,
            sampling_probabilities=replayed(self.dataset.weights(), is_fresh),
            emphasis=self.emphasis,
            transforms=transforms,
        )
        check_complete(self.dataset, split, loader.indices)
        processes = augmentation_processes(self.device)
        return batches(loader, processes, pin=self.device.type == "cuda")

    @staticmethod
    def get_training_transforms(*args: Any, **kwargs: Any) -> Any:
        """nnU-Net's augmentation, with padding ignored."""
        stock = nnUNetTrainer.get_training_transforms(*args, **kwargs)
        return ignore_padding(stock, kwargs["ignore_label"])

    def train_step(self, batch: dict[str, Any]) -> dict[str, float]:
        """nnU-Net's step in the precision that is fast on this device."""
        data = batch["data"].to(self.device, non_blocking=True)
        target = [t.to(self.device, non_blocking=True) for t in batch["target"]]
        self.optimizer.zero_grad(set_to_none=True)
        with precision(self.device)():
            output: list[Tensor] = self.learning(data)
        loss = self.loss([o.float() for o in output], target)
        if self.grad_scaler is None:
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)
            if not torch.isfinite(norm):  # one such step would spoil the weights
                return {"loss": math.nan}
            self.optimizer.step()
        else:
            self.grad_scaler.scale(loss).backward()
            self.grad_scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)
            self.grad_scaler.step(self.optimizer)
            self.grad_scaler.update()
        return {"loss": loss.item()}

    def state(self) -> dict[str, Any]:
        """Return what is needed to go on training, as tensors and plain values."""
        scaler = self.grad_scaler
        return {
            "network_weights": self.network.state_dict(),
            "average_weights": self.average.state_dict(),
            "optimizer_state": self.optimizer.state_dict(),
            "grad_scaler_state": None if scaler is None else scaler.state_dict(),
            "shown": dict(self.shown),
            "shown_fresh": self.shown_fresh,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Undo `state`."""
        self.network.load_state_dict(state["network_weights"])
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.average.load_state_dict(state["average_weights"])
        self.optimizer.load_state_dict(state["optimizer_state"])
        if self.grad_scaler is not None:
            self.grad_scaler.load_state_dict(state["grad_scaler_state"])
        self.shown = Counter(state["shown"])
        self.shown_fresh = state["shown_fresh"]

    def inference_state(self) -> dict[str, Any]:
        """Return the checkpoint that stock nnU-Net predicts from."""
        return {
            "network_weights": self.network.state_dict(),
            # Stock code looks the class up by name to build the same network.
            "trainer_name": nnUNetTrainer.__name__,
            "init_args": {"configuration": CONFIGURATION, "fold": 0},
            "inference_allowed_mirroring_axes": (0, 1),
        }

    def _do_i_compile(self) -> bool:
        return False  # minutes of delay for trainings that last minutes

    def print_to_log_file(
        self,
        *args: object,
        also_print_to_console: bool = True,
        add_timestamp: bool = True,
    ) -> None:
        """Send nnU-Net's remarks to the child's log."""
        _log.info(" ".join(map(str, args)).strip())
