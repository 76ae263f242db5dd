"""A picture of the tiles a strategy chose first."""

import io

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from backend.experiment.draws import place_of
from backend.experiment.records import Record
from backend.experiment.scene import Scene

CELL, CAPTION, EDGE = 160, 22, 6
TINT = (220, 40, 90)


def sheet(scene: Scene, record: Record) -> bytes:
    """Return a PNG of a round's tiles in a row; the class in front is tinted."""
    chosen = record["chosen"]
    size = len(chosen) * (CELL + EDGE) + EDGE, CELL + CAPTION + 2 * EDGE
    page = Picture.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    value = next(v for v, n in scene.plan.names.items() if n == scene.plan.priority)
    for number, item in enumerate(chosen):
        place = place_of(item["tile"])
        known = scene.known[place.image]
        grid = known.grid(scene.plan.tile_size)
        box = grid.box(*divmod(place.position, grid.columns))
        grey = known.grey[box.slices].astype(np.float32)
        grey = 255 * (grey - grey.min()) / max(1.0, float(np.ptp(grey)))
        colours = np.repeat(grey[..., None], 3, axis=2)
        marked = known.truth[box.slices] == value
        colours[marked] = 0.6 * colours[marked] + 0.4 * np.array(TINT)
        tile = Picture.fromarray(colours.astype(np.uint8)).resize((CELL, CELL))
        x = EDGE + number * (CELL + EDGE)
        page.paste(tile, (x, EDGE))
        draw.text((x, EDGE + CELL + 4), item["component"], "black", font)
    file = io.BytesIO()
    page.save(file, "PNG")
    return file.getvalue()
