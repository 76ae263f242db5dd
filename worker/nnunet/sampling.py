"""Where training patches come from, and what lies outside an image.

Stock nnU-Net centres patches on labelled pixels, which teaches that things lie in the
middle, draws a label among those of a case that was drawn before, so that a rare label
stays rare, and turns padding into background, which teaches that nothing lies outside.
"""
# ruff: noqa: NPY002 - nnU-Net's augmentation draws from numpy's global state; so do we

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from batchgenerators.dataloading.single_threaded_augmenter import (
    SingleThreadedAugmenter,
)
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from numpy.typing import NDArray

Bounds = tuple[list[int], list[int]]
Weights = NDArray[np.float64]

FRESH_SHARE = 0.5
"""Of the patches of a warm start, at least so many show tiles it has not seen yet."""


def replayed(weights: Weights, fresh: NDArray[np.bool_]) -> Weights:
    """Return the cases' weights, raised for fresh ones to their share of all patches.

    Nothing is changed if they have it, or if all cases are fresh or none is.
    """
    share = float(weights[fresh].sum() / weights.sum())
    if not 0 < share < FRESH_SHARE:
        return weights
    raised = np.where(fresh, FRESH_SHARE / share, (1 - FRESH_SHARE) / (1 - share))
    weighted: Weights = weights / weights.sum() * raised
    return weighted


def shares_of(
    emphasis: Mapping[int, float], present: Mapping[int, NDArray[np.bool_]]
) -> dict[int, float]:
    """Return how often to force each label that some case shows, summing to 1.

    `present` says for each label's number which cases show it. Labels without emphasis
    are drawn alike if none has any, and else not at all.
    """
    shown = {number for number, cases in present.items() if cases.any()}
    wanted = {n: emphasis.get(n, 0.0) for n in sorted(shown)}
    if not any(wanted.values()):
        wanted = dict.fromkeys(wanted, 1.0)
    total = sum(wanted.values())
    return {number: share / total for number, share in wanted.items() if share > 0}


class TileLoader(nnUNetDataLoader):  # type: ignore[misc]
    """nnU-Net's loader with patches that keep to the annotated tile of their case.

    In a part of each batch (nnU-Net's `oversample_foreground_percent`) a label is drawn
    first, then a case that shows it. Batches say in `labels` what was forced: a label's
    number, or 0 for nothing.
    """

    get_do_oversample: Callable[[int], bool]

    def __init__(
        self, *args: Any, emphasis: Mapping[int, float], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._drawn: list[int] = []
        self._forced = 0
        self._weights: Weights = np.asarray(self.sampling_probabilities, float)
        self._present = self._look_through()
        self._shares = shares_of(emphasis, self._present)
        self._in_turn = self.get_do_oversample
        self.get_do_oversample = self._is_forced

    def get_indices(self) -> list[str]:
        """Draw the labels and the cases of a batch."""
        forced = [
            bool(self._shares and self._in_turn(i)) for i in range(self.batch_size)
        ]
        labels, shares = list(self._shares), list(self._shares.values())
        self._drawn = [
            int(np.random.choice(labels, p=shares)) if force else 0 for force in forced
        ]
        return [self._case(number) for number in self._drawn]

    def generate_train_batch(self) -> dict[str, Any]:
        """Return nnU-Net's batch and the labels that were forced."""
        batch: dict[str, Any] = super().generate_train_batch()
        return batch | {"labels": self._drawn}

    def get_bbox(
        self,
        data_shape: tuple[int, ...],
        force_fg: bool,
        class_locations: Mapping[Any, NDArray[np.int32]],
        overwrite_class: int | None = None,
        verbose: bool = False,
    ) -> Bounds:
        """Return lower and upper bounds of a patch that holds a labelled pixel.

        The pixel is drawn from the forced label if `force_fg`, or from
        `overwrite_class`, else from all annotated pixels, and lies anywhere in the
        middle half of the patch. At most a quarter of the patch then hangs over the
        tile's edge, so that most of it teaches something, and none over the image's
        edge unless the image is smaller.
        """
        annotated = class_locations[self.annotated_classes_key]
        wanted = self._forced if overwrite_class is None else overwrite_class
        places = class_locations[wanted] if force_fg else annotated
        pixel = places[np.random.randint(len(places))][1:]
        first, last = annotated[:, 1:].min(0), annotated[:, 1:].max(0) + 1
        low = []
        for d, size in enumerate(self.final_patch_size):
            start = pixel[d] - np.random.randint(size // 4, size - size // 4 + 1)
            ends = (first[d] - size // 4, last[d] + size // 4 - size)
            start = np.clip(start, min(ends), max(ends))
            room = data_shape[d] - size
            start = np.clip(start, min(0, room), max(0, room))
            # Rotation and zoom need a larger patch around the one that is learnt from.
            low.append(int(start) - (self.patch_size[d] - size) // 2)
        return low, [a + b for a, b in zip(low, self.patch_size, strict=True)]

    def _is_forced(self, index: int) -> bool:
        """Answer nnU-Net, which asks right before it wants the patch of this index."""
        self._forced = self._drawn[index]
        return self._forced > 0

    def _case(self, number: int) -> str:
        """Draw a case, one that shows the label unless `number` is 0."""
        weights = self._weights * self._present[number] if number else self._weights
        return str(np.random.choice(self.indices, p=weights / weights.sum()))

    def _look_through(self) -> dict[int, NDArray[np.bool_]]:
        """Return for each label's number which cases show it."""
        shown: list[set[int]] = []
        for case in self.indices:
            places = self._data.load_case(case)[3]["class_locations"]
            labels = (key for key in places if not isinstance(key, tuple))
            shown.append({label for label in labels if len(places[label])})
        every = sorted(set[int]().union(*shown))
        return {label: np.array([label in one for one in shown]) for label in every}


def ignore_padding(transforms: Any, ignore: int) -> Any:
    """Make nnU-Net's transforms turn padding (−1) into the ignore label.

    Stock code turns it into background even where there is an ignore label.
    """
    found = [t for t in transforms.transforms if isinstance(t, RemoveLabelTransform)]
    if len(found) != 1 or found[0].label_value != -1:
        raise RuntimeError("nnU-Net's padding is not where it was; check its version")
    found[0].set_to = ignore
    return transforms


def batches(loader: TileLoader, processes: int, *, pin: bool) -> Any:
    """Return endless batches, augmented in `processes` of their own or, if 0, here."""
    if processes == 0:
        return SingleThreadedAugmenter(loader, None)
    from batchgenerators.dataloading.nondet_multi_threaded_augmenter import (
        NonDetMultiThreadedAugmenter,
    )

    return NonDetMultiThreadedAugmenter(
        loader, None, processes, num_cached=max(6, processes // 2), pin_memory=pin
    )
