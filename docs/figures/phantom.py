"""Draw docs/images/phantom.png: the phantom, its ground truth and the ER close up.

Run `python docs/figures/phantom.py` from the root of the repository.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.patches import Patch, Rectangle

from backend.domain.labels import LIVER
from backend.imaging.phantom import phantom

SEED, EDGE = 11, 640
CLOSE = slice(0, 260), slice(110, 370)
TARGET = Path(__file__).parents[1] / "images" / "phantom.png"


def main() -> None:
    """Paint one phantom and save four panels of it."""
    made = phantom(SEED, EDGE, EDGE)
    clear = [to_rgba("black", 0)]
    colours = ListedColormap(clear + [to_rgba(x.colour, 0.5) for x in LIVER.labels])
    figure, panels = plt.subplots(2, 2, figsize=(10, 10.7), layout="constrained")
    for row, part in zip(panels, (np.s_[:, :], CLOSE), strict=True):
        for axes, overlaid in zip(row, (False, True), strict=True):
            axes.imshow(made.image[part], cmap="gray", vmin=0, vmax=255)
            if overlaid:
                axes.imshow(made.labels[part], cmap=colours, vmin=0, vmax=5)
            axes.set_axis_off()
            length = 1000 / made.pixel_nm  # one micrometre in pixels
            bottom = made.image[part].shape[0]
            axes.add_patch(
                Rectangle(
                    (0.03 * bottom, 0.95 * bottom), length, 0.012 * bottom, fc="w"
                )
            )
            axes.text(0.03 * bottom, 0.94 * bottom, "1 µm", color="w", fontsize=9)
    left, top = CLOSE[1].start, CLOSE[0].start
    edge = CLOSE[0].stop - top
    panels[0, 0].add_patch(Rectangle((left, top), edge, edge, fill=False, ec="w", lw=1))
    panels[0, 0].set_title(f"synthetic liver, {made.pixel_nm:g} nm per pixel")
    panels[0, 1].set_title("exact ground truth")
    panels[1, 0].set_title("close up")
    figure.legend(
        handles=[Patch(color=label.colour, label=label.name) for label in LIVER.labels],
        loc="outside lower center",
        ncols=len(LIVER.labels),
        frameon=False,
    )
    figure.savefig(TARGET, dpi=85)


if __name__ == "__main__":
    main()
