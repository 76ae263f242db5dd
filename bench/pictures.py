"""Pictures the benches write: a contact sheet of tiles, a learning curve."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def learning_curve(
    records: Sequence[dict[str, Any]], goals: dict[str, float], into: Path
) -> None:
    """Write test Dice against tiles: a thin line per seed, the mean, the goal."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    panels = figure.subplots(1, len(goals), sharey=True)
    for panel, (label, goal) in zip(panels, goals.items(), strict=True):
        curves: dict[int, dict[int, float]] = {}
        for record in records:
            dice = record["test"][label]["dice"]
            curves.setdefault(record["seed"], {})[record["tiles"]] = dice or 0.0
        for curve in curves.values():
            panel.plot(list(curve), list(curve.values()), ".-", color="0.7", lw=0.8)
        shared = sorted(set.intersection(*(set(c) for c in curves.values())))
        mean = [sum(c[t] for c in curves.values()) / len(curves) for t in shared]
        panel.plot(shared, mean, "o-", label=f"mean of {len(curves)} seeds")
        panel.axhline(goal, ls=":", color="tab:red", label=f"goal {goal}")
        panel.set(title=label, xlabel="annotated tiles of 128²", ylim=(0, 1))
        panel.set_xticks(shared)
        panel.legend(loc="lower right")
    panels[0].set_ylabel("Dice on three held-out sections")
    figure.savefig(into, dpi=120)


def captures(records: Sequence[dict[str, Any]], into: Path) -> None:
    """Write bars of each score's capture: a panel per model and label, a dot per seed.

    The dashed line is the oracle, the dotted one chance.
    """
    from matplotlib.figure import Figure

    runs = list(dict.fromkeys(run for record in records for run in record["runs"]))
    labels = list(records[0]["runs"][runs[0]]["labels"]) if runs else []
    figure = Figure(figsize=(6 * len(labels), 4.2 * len(runs)), layout="constrained")
    grid = figure.subplots(len(runs), len(labels), squeeze=False)
    for run, row in zip(runs, grid, strict=True):
        here = [r["runs"][run]["labels"] for r in records if run in r["runs"]]
        for label, panel in zip(labels, row, strict=True):
            found = [seed[label]["scores"] for seed in here]
            means = {
                name: float(np.mean([seed[name]["capture"] for seed in found]))
                for name in found[0]
            }
            names = sorted(means.keys() - {"oracle", "random"}, key=means.__getitem__)
            panel.barh(names, [means[name] for name in names], color="0.8")
            for seed in found:
                panel.plot([seed[name]["capture"] for name in names], names, "k.", ms=4)
            panel.axvline(means["oracle"], ls="--", color="tab:red", label="oracle")
            panel.axvline(0.1, ls=":", color="0.4", label="chance")
            panel.set(title=f"{label}, {len(found)} seeds\n{run}", xlim=(0, 1))
            panel.set_xlabel("share of missed pixels in a tenth of the tiles")
            panel.legend(loc="lower right")
    figure.savefig(into, dpi=120)
