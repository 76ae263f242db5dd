"""Pictures the benches write: a contact sheet of tiles, a learning curve."""

import textwrap
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

CELL, CAPTION, COLUMNS, EDGE = 256, 118, 5, 12


def contact_sheet(
    tiles: Sequence[tuple[npt.NDArray[np.generic], str, str]], into: Path
) -> None:
    """Write tiles in rows of five: (grey values, title, reason), each captioned."""
    rows = -(-len(tiles) // COLUMNS)
    size = COLUMNS * (CELL + EDGE) + EDGE, rows * (CELL + CAPTION + EDGE) + EDGE
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    bold, plain = ImageFont.load_default(17), ImageFont.load_default(13)
    for number, (grey, title, reason) in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        x = EDGE + column * (CELL + EDGE)
        y = EDGE + row * (CELL + CAPTION + EDGE)
        picture = Image.fromarray(grey).convert("L")
        sheet.paste(picture.resize((CELL, CELL), Image.Resampling.NEAREST), (x, y))
        draw.text((x, y + CELL + 4), title, "black", bold)
        wrapped = textwrap.wrap(reason, 40)[:6]
        draw.text((x, y + CELL + 26), "\n".join(wrapped), "#333333", plain)
    sheet.save(into)


def side_by_side(pictures: Sequence[bytes], into: Path) -> None:
    """Write PNG pictures next to each other, aligned at their tops."""
    opened = [Image.open(BytesIO(data)).convert("RGB") for data in pictures]
    width = sum(picture.width for picture in opened) + EDGE * (len(opened) - 1)
    sheet = Image.new("RGB", (width, max(p.height for p in opened)), "white")
    x = 0
    for picture in opened:
        sheet.paste(picture, (x, 0))
        x += picture.width + EDGE
    sheet.save(into)
