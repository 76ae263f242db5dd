"""Export: annotated images as an nnU-Net raw dataset, and their masks as they are.

    nnunet/imagesTr/<case>_0000.png   grey values, 8 or 16 bit, of a pool image
    nnunet/labelsTr/<case>.png        0 background, 1..C labels, C + 1 ignore
    nnunet/imagesTs, labelsTs         the same for validation and test tiles
    nnunet/dataset.json
    labels/<case>.png                 the project's own values: 255 is unknown
    labels/labels.json                what the values, the cases and their tiles are

A pixel nobody annotated is ignore, and so is a 0 where a label was not looked for:
`labels.json` says of every tile which labels a 0 rules out.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from backend.domain.labels import UNKNOWN, LabelSchema
from backend.domain.masks import Raster, training_target, unpack
from backend.domain.states import Split
from backend.schemas.export import Exported, ExportWork
from backend.schemas.loop import AnnotatedTile
from backend.schemas.stored import StoredImage, StoredTree
from backend.storage import ArtifactStore, job_prefix
from worker.desk import Desk
from worker.images import local_image
from worker.segmenter import Progress, Report


def run(work: ExportWork, store: ArtifactStore, report: Report, desk: Desk) -> Exported:
    """Write one case per annotated image and store the folder."""
    folder = desk.scratch / "export"
    tiles: dict[tuple[str, bool], list[AnnotatedTile]] = defaultdict(list)
    for tile in work.tiles:
        tiles[str(tile.image_id), tile.split is Split.POOL].append(tile)
    cases: dict[str, StoredImage] = {}
    for number, image in enumerate(work.images):
        report.check()
        case = f"{work.name}_{number:04d}"
        cases[case] = image
        pool = tiles[str(image.id), True]
        measured = tiles[str(image.id), False]
        _case(folder, case, image, pool, measured, work.schema, store, desk)
        done = (number + 1) / len(work.images)
        report(Progress(f"Wrote {image.name}", done))
    _describe(folder, work, cases)
    prefix = f"{job_prefix(work.job_id, work.fence)}/export"
    return Exported(StoredTree(prefix, store.put_tree(prefix, folder)))


def _case(
    folder: Path,
    case: str,
    image: StoredImage,
    pool: Sequence[AnnotatedTile],
    measured: Sequence[AnnotatedTile],
    schema: LabelSchema,
    store: ArtifactStore,
    desk: Desk,
) -> None:
    shape = image.height, image.width
    known = np.full(shape, UNKNOWN, np.uint8)
    for tile in (*pool, *measured):
        known[tile.box.slices] = unpack(tile.raster, (tile.box.h, tile.box.w))
    _png(folder / "labels" / f"{case}.png", known)
    data = local_image(image, store, desk)
    grey = np.load(data.path)
    for tiles, subset in ((pool, "Tr"), (measured, "Ts")):
        if tiles:
            nnunet = folder / "nnunet"
            _png(nnunet / f"images{subset}" / f"{case}_0000.png", grey)
            target = _target(shape, tiles, schema)
            _png(nnunet / f"labels{subset}" / f"{case}.png", target)
    data.path.unlink()


def _target(
    shape: tuple[int, int], tiles: Sequence[AnnotatedTile], schema: LabelSchema
) -> Raster:
    """Return the (rows, columns) uint8 labels for nnU-Net: consecutive, ignore last."""
    target = np.full(shape, UNKNOWN, np.uint8)
    for tile in tiles:
        mask = unpack(tile.raster, (tile.box.h, tile.box.w))
        target[tile.box.slices] = training_target(mask, tile.complete_for, schema)
    table = np.zeros(256, np.uint8)
    table[list(schema.values)] = range(1, len(schema.values) + 1)
    table[UNKNOWN] = len(schema.values) + 1
    return table[target]


def _describe(folder: Path, work: ExportWork, cases: dict[str, StoredImage]) -> None:
    labels = {"background": 0}
    labels |= {name: n for n, name in enumerate(work.schema.names, start=1)}
    # nnU-Net wants the ignore label to be the highest
    labels["ignore"] = len(labels)
    training = folder / "nnunet" / "imagesTr"
    _json(
        folder / "nnunet" / "dataset.json",
        {
            "name": work.name,
            "channel_names": {"0": "EM"},
            "labels": labels,
            "numTraining": len(list(training.glob("*.png"))),
            "file_ending": ".png",
        },
    )
    _json(
        folder / "labels" / "labels.json",
        {
            "labels": [
                {"value": label.value, "name": label.name, "colour": label.colour}
                for label in work.schema.labels
            ],
            "none": 0,
            "unknown": UNKNOWN,
            "images": {case: image.name for case, image in cases.items()},
            "tiles": {
                case: [
                    {**asdict(tile.box), "complete_for": sorted(tile.complete_for)}
                    for tile in sorted(work.tiles, key=lambda tile: tile.box)
                    if tile.image_id == image.id
                ]
                for case, image in cases.items()
            },
        },
    )


def _png(path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, "PNG", compress_level=3)


def _json(path: Path, content: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
