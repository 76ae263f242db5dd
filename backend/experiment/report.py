"""The report of an experiment: one page that needs nothing else, and its pictures."""

import base64
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.experiment import figures
from backend.experiment.plan import Plan
from backend.experiment.records import Record, replace
from backend.experiment.summary import (
    SAVINGS,
    Curves,
    gather,
    is_through,
    summarise,
)

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72em; margin: 2em auto;
       padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 }
td, th { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left }
img { max-width: 100% } p.note { color: #555; max-width: 60em }
"""
READING = (
    "Means over seeds with 95 % BCa bootstrap intervals over seeds. AUBC is the area "
    "under the budget curve by trapezoids over rounds. p is of a paired t test within "
    "seeds, two-sided, corrected after Holm for the number of strategies. The "
    "retraining SD is how much one score moves when the same labels are learnt again "
    "with another seed: an effect below it shows in the mean of many seeds only."
)


def write(plan: Plan, runs: Sequence[Sequence[Record]], folder: Path) -> Path:
    """Write report.html, report.json and PNGs into a folder; returns the page."""
    figures.check()
    curves = gather(plan, runs)
    summary = summarise(curves)
    replace(folder / "report.json", f"{json.dumps(summary, indent=1)}\n".encode())
    page = "\n".join(_page(curves, summary, folder))
    replace(folder / "report.html", page.encode())
    return folder / "report.html"


def _page(curves: Curves, summary: Mapping[str, Any], folder: Path) -> Iterable[str]:
    plan, front = curves.plan, curves.plan.priority
    title = html.escape(f"Experiment {plan.name}")
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
    yield f"<style>{STYLE}</style><h1>{title}</h1>"
    yield f"<p>{html.escape(_facts(curves))}</p><p class=note>{READING}</p>"
    for label in sorted(plan.names.values(), key=lambda name: name != front):
        yield f"<h2>{html.escape(label)}</h2>"
        for metric in curves.metrics:
            if metric in figures.NAMES:
                drawn = figures.learning_curves(curves, label, metric)
                yield _image(folder, f"curves-{label}-{metric}", drawn)
        for metric in curves.metrics:
            yield _areas(summary, label, metric)
        yield _image(
            folder, f"effects-{label}", figures.forest_plot(summary, label, "ap")
        )
        yield from _savings(summary, label)
    yield from _penalties(summary, folder, front)
    yield from _gallery(folder)


def _facts(curves: Curves) -> str:
    plan = curves.plan
    unfinished = [
        f"{s.name} {len(curves.seeds.get(s.name, []))} of {len(plan.seeds)}"
        for s in plan.strategies
        if len(curves.seeds.get(s.name, [])) < len(plan.seeds)
    ]
    last = plan.start_tiles + (curves.rounds - 1) * plan.query_size
    facts = (
        f"{plan.segmenter}, tiles of {plan.tile_size}², {len(plan.seeds)} seeds, "
        f"{plan.start_tiles} tiles to start with and {plan.query_size} per round to "
        f"{last}; the annotator is {plan.oracle}; control tiles: "
        f"{plan.controls:.0%}; {plan.priority} is in front."
    )
    if plan.stop.until is not None and curves.full:
        goal = f"{plan.stop.until:.0%} of the full-label score of {plan.priority}"
        facts += f" The curves were to end where the baseline reaches {goal}"
        facts += "." if is_through(curves) else ": it did not, so they are censored."
    if unfinished:
        facts += f" Unfinished, so these numbers will move: {', '.join(unfinished)}."
    return facts


def _areas(summary: Mapping[str, Any], label: str, metric: str) -> str:
    rows = []
    for name, row in summary["aubc"][label][metric].items():
        effect, last = row["effect"], summary["last"][label][metric][name]
        rows.append(
            [
                name,
                str(row["area"]["n"]),
                _interval(row["area"]),
                _interval(last),
                _interval(effect["difference"], "+") if effect else "baseline",
                _number(effect["p"]) if effect else "",
                _number(row["p_holm"]),
            ]
        )
    spread = summary["retraining_sd"][label][metric]
    head = ["strategy", "seeds", "AUBC", "last round", "difference", "p", "p (Holm)"]
    caption = f"{label}: {figures.NAMES.get(metric, metric)}"
    full = summary["full"].get(label, {}).get(metric)
    notes = [f"all tiles labelled: {_interval(full)}"] if full else []
    notes += [f"retraining SD {_number(spread)}"] if spread is not None else []
    text = html.escape("; ".join(notes))
    return (
        f"<h3>{html.escape(caption)}</h3>{_table(head, rows)}<p class=note>{text}</p>"
    )


def _savings(summary: Mapping[str, Any], label: str) -> Iterable[str]:
    found = summary["savings"][label]
    if not found:
        return
    names = list(next(iter(found.values())))
    rows = []
    for name in names:
        cells = [name]
        for share in SAVINGS:
            row = found[f"{share:.2f}"][name]
            cells.append("not reached" if row["censored"] else f"{row['tiles']:.1f}")
            saving = row["saving"]
            cells.append("" if saving is None else f"{saving:.0%}")
        rows.append(cells)
    head = ["strategy"]
    for share in SAVINGS:
        head += [f"tiles to {share:.0%} of full", "saved against the baseline"]
    yield "<h3>Labels saved, by average precision of the mean curves</h3>"
    yield _table(head, rows)


def _penalties(summary: Mapping[str, Any], folder: Path, label: str) -> Iterable[str]:
    drawn = figures.penalty_matrix(summary)
    if drawn is not None:
        yield "<h2>Who beats whom</h2>"
        yield (
            f"<p class=note>Share of rounds in which the row's average precision of "
            f"{html.escape(label)} is above the column's, by a paired t test over "
            f"{len(summary['penalties']['seeds'])} seeds at 5 %.</p>"
        )
        yield _image(folder, "penalties", drawn)


def _gallery(folder: Path) -> Iterable[str]:
    pictures = sorted((folder / "gallery").glob("*.png"))
    if pictures:
        yield "<h2>The first tiles that were asked for</h2>"
    for file in pictures:
        yield f"<h3>{html.escape(file.stem)}</h3>"
        yield _inlined(file.read_bytes(), file.stem)


def _image(folder: Path, name: str, content: bytes) -> str:
    name = name.replace(" ", "-")
    replace(folder / f"{name}.png", content)
    return _inlined(content, name)


def _inlined(content: bytes, name: str) -> str:
    code = base64.b64encode(content).decode()
    return f'<img alt="{html.escape(name)}" src="data:image/png;base64,{code}">'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(kind: str, cells: Sequence[str]) -> str:
        inner = "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells)
        return f"<tr>{inner}</tr>"

    return (
        f"<table>{line('th', head)}{''.join(line('td', row) for row in rows)}</table>"
    )


def _interval(found: Mapping[str, Any], sign: str = "") -> str:
    mean = f"{found['mean']:{sign}.3f}"
    if found["low"] is None:
        return mean
    return f"{mean} ({found['low']:{sign}.3f} to {found['high']:{sign}.3f})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
