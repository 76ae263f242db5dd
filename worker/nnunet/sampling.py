"""Where training patches come from, and what lies outside an image.

Stock nnU-Net centres patches on labelled pixels, which teaches that things lie in the
middle, and turns padding into background, which teaches that nothing lies outside.
"""
# ruff: noqa: NPY002 - nnU-Net's augmentation draws from numpy's global state; so do we

from collections.abc import Mapping
from typing import Any

import numpy as np
from batchgenerators.dataloading.single_threaded_augmenter import (
    SingleThreadedAugmenter,
)
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from numpy.typing import NDArray

Bounds = tuple[list[int], list[int]]


class TileLoader(nnUNetDataLoader):  # type: ignore[misc]
    """nnU-Net's loader with patches that keep to the annotated tile of their case."""

    def get_bbox(
        self,
        data_shape: tuple[int, ...],
        force_fg: bool,
        class_locations: Mapping[Any, NDArray[np.int32]],
        overwrite_class: object = None,
        verbose: bool = False,
    ) -> Bounds:
        """Return lower and upper bounds of a patch that holds a labelled pixel.

        The pixel is drawn from one label at random if `force_fg`, else from all
        annotated pixels, and lies anywhere in the middle half of the patch. At most a
        quarter of the patch then hangs over the tile's edge, so that most of it teaches
        something, and none over the image's edge unless the image is smaller.
        """
        annotated = class_locations[self.annotated_classes_key]
        labels = [
            key
            for key, places in class_locations.items()
            if not isinstance(key, tuple) and len(places)
        ]
        places = annotated
        if force_fg and labels:
            places = class_locations[labels[np.random.randint(len(labels))]]
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
