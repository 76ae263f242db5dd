"""Pictures of an experiment; matplotlib comes with the worker's packages."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backend.client import ClientError
from backend.experiment.plan import FULL
from backend.experiment.statistics import F8, at_budgets, band
from backend.experiment.summary import Curves, score

AXES = {
    "tiles": "annotated tiles",
    "foreground_pixels": "painted pixels of any label",
    "minutes": "minutes, as modelled",
}
NAMES = {
    "ap": "average precision",
    "dice": "Dice",
    "recall_at_0.8": "recall at precision 0.8",
    "recall_at_0.85": "recall at precision 0.85",
}
POINTS = 60


def check() -> None:
    """Raise ClientError if nothing can be drawn here."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ClientError(
            "The report needs matplotlib: install it with `pip install "
            "'cisterna[worker]'`, then run `cisterna report` on the folder of results."
        ) from error


def learning_curves(curves: Curves, label: str, metric: str) -> bytes:
    """Draw the mean over seeds and its band against tiles, pixels and minutes."""
    from matplotlib.ticker import EngFormatter

    def draw(panels: Sequence[Any]) -> None:
        for panel, (axis, name) in zip(panels, AXES.items(), strict=True):
            for number, strategy in enumerate(curves.strategies):
                colour = f"C{number}"
                x, rows = _on_one_axis(curves, strategy, label, metric, axis)
                said = f"{strategy} ({len(rows)})"
                panel.plot(x, rows.mean(axis=0), color=colour, label=said, lw=1.6)
                if len(rows) > 2:
                    low, high = band(rows)
                    panel.fill_between(x, low, high, color=colour, alpha=0.12, lw=0)
            if curves.full:
                tops = [score(r, label, metric) for r in curves.full.values()]
                top = float(np.mean(tops))
                panel.axhline(
                    top, color="0.4", ls=":", lw=1, label=f"{FULL}: {top:.3f}"
                )
            panel.set(xlabel=name)
            panel.xaxis.set_major_formatter(EngFormatter(sep=""))
        panels[0].set(ylabel=f"{label}: {NAMES.get(metric, metric)}, test images")
        panels[0].legend(fontsize=7, loc="lower right", title="strategy (seeds)")

    return _picture((13, 4.2), (1, 3), draw)


def _on_one_axis(
    curves: Curves, strategy: str, label: str, metric: str, axis: str
) -> tuple[F8, F8]:
    """Return budgets that all seeds have passed, and each seed's scores there."""
    budgets, scores = (
        curves.budgets(strategy, axis),
        curves.scores(strategy, label, metric),
    )
    if axis == "tiles":
        return budgets[0], scores
    wanted = np.linspace(budgets[:, 0].max(), budgets[:, -1].min(), POINTS)
    if wanted[0] >= wanted[-1]:  # seeds cost too differently to have a common range
        return budgets.mean(axis=0), scores
    pairs = zip(budgets, scores, strict=True)
    return wanted, np.array([at_budgets(x, y, wanted) for x, y in pairs])


def forest_plot(summary: Mapping[str, Any], label: str, metric: str) -> bytes:
    """Draw each strategy's mean difference to the baseline, with its interval."""
    areas = summary["aubc"][label][metric]
    rows = [(name, row) for name, row in areas.items() if row["effect"]]
    spread = summary["retraining_sd"][label][metric]

    def draw(panels: Sequence[Any]) -> None:
        (panel,) = panels
        for place, (_, row) in enumerate(rows):
            found = row["effect"]["difference"]
            panel.plot(found["mean"], place, "o", color="C0")
            if found["low"] is not None:
                panel.plot([found["low"], found["high"]], [place, place], color="C0")
        panel.axvline(0, color="0.3", lw=1)
        if spread is not None:
            panel.axvspan(-spread, spread, color="0.9", zorder=0)
        panel.set_yticks(range(len(rows)), [name for name, _ in rows])
        panel.invert_yaxis()
        panel.set_xlabel(
            f"AUBC of {label} {NAMES.get(metric, metric)} − that of "
            f"{summary['baseline']}"
            + ("; grey: SD of one score over retrainings" if spread is not None else "")
        )

    return _picture((8, 1.2 + 0.35 * max(1, len(rows))), (1, 1), draw)


def penalty_matrix(summary: Mapping[str, Any]) -> bytes | None:
    """Draw the pairwise penalty matrix; None below two common seeds."""
    found = summary["penalties"]
    if found["matrix"] is None:
        return None
    names, matrix = found["strategies"], np.array(found["matrix"])

    def draw(panels: Sequence[Any]) -> None:
        (panel,) = panels
        panel.imshow(matrix, vmin=0, vmax=1, cmap="Blues")
        for (i, j), value in np.ndenumerate(matrix):
            colour = "white" if value > 0.5 else "black"
            panel.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour)
        panel.set_xticks(range(len(names)), names, rotation=40, ha="right")
        panel.set_yticks(range(len(names)), names)
        panel.set(xlabel="is beaten", ylabel="beats")

    edge = 2.5 + 0.6 * len(names)
    return _picture((edge, edge), (1, 1), draw)


def _picture(
    size: tuple[float, float],
    panels: tuple[int, int],
    draw: Callable[[Sequence[Any]], None],
) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    draw(figure.subplots(*panels, squeeze=False).ravel().tolist())
    file = io.BytesIO()
    figure.savefig(file, dpi=110)
    return file.getvalue()
