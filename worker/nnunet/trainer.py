"""nnU-Net's trainer, changed where a few sparse tiles and a processor ask for it.

Network, loss, deep supervision and augmentation are nnU-Net's. AdamW replaces SGD,
which needs far more than some hundred steps; patches keep to the tiles; padding is
ignored.
"""

import logging
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.helpers import empty_cache
from torch import Tensor

from worker.nnunet.dataset import Dataset, check_complete
from worker.nnunet.device import augmentation_processes, pick_device, precision
from worker.nnunet.planner import CONFIGURATION
from worker.nnunet.sampling import TileLoader, batches, ignore_padding

PEAK_RATE = 2e-3
_log = logging.getLogger(__name__)


class TileTrainer(nnUNetTrainer):  # type: ignore[misc]
    """One network being trained on annotated tiles, a step at a time."""

    dataset: Dataset
    seed = 0

    @classmethod
    def prepare(
        cls,
        plans: dict[str, Any],
        dataset_json: dict[str, Any],
        dataset: Dataset,
        seed: int,
    ) -> "TileTrainer":
        """Return an initialised trainer; nnU-Net finds its folders in the environment.

        The same seed makes the same network.
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
        trainer.oversample_foreground_percent = 0.5
        trainer.initialize()
        trainer.set_deep_supervision_enabled(True)
        return trainer

    def start(self, step: int) -> None:
        """Make ready to draw batches from `step` on."""
        np.random.seed((self.seed + step) % 2**32)  # noqa: NPY002 - nnU-Net draws from it
        torch.manual_seed(self.seed + step)
        self.dataloader_train = self.get_dataloaders()

    def step(self, rate: float) -> float:
        """Learn from one batch at this learning rate and return the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.network.train()
        return float(self.train_step(next(self.dataloader_train))["loss"])

    def finish(self) -> None:
        """Let go of processes and memory."""
        loader, self.dataloader_train = self.dataloader_train, None
        if hasattr(loader, "_finish"):
            loader._finish()
        empty_cache(self.device)

    # What follows overrides nnU-Net.

    def configure_optimizers(self) -> tuple[Any, None]:
        """AdamW; the loop sets its rate."""
        return torch.optim.AdamW(
            self.network.parameters(), PEAK_RATE, weight_decay=1e-2
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
        loader = TileLoader(
            cases,
            self.batch_size,
            initial,
            patch,
            self.label_manager,
            oversample_foreground_percent=self.oversample_foreground_percent,
            sampling_probabilities=self.dataset.weights(),
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
            output: list[Tensor] = self.network(data)
        loss = self.loss([o.float() for o in output], target)
        if self.grad_scaler is None:
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)
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
            "optimizer_state": self.optimizer.state_dict(),
            "grad_scaler_state": None if scaler is None else scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Undo `state`."""
        self.network.load_state_dict(state["network_weights"])
        self.optimizer.load_state_dict(state["optimizer_state"])
        if self.grad_scaler is not None:
            self.grad_scaler.load_state_dict(state["grad_scaler_state"])

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
