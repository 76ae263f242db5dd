"""A pointer that paints in a browser's window, and meters for what that takes."""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import CDPSession, Page

from bench import peers

U1 = NDArray[np.uint8]
Record = dict[str, Any]

SEEN = 512
"""CSS pixels the edge of a tile has on the screen."""
SEED = 0

Stroke = tuple[int, list[tuple[float, float]]]
"""The value painted, and the places in the tile where the pointer was."""


@dataclass
class Hand:
    """A pointer that paints in a window, and remembers where it was."""

    page: Page
    edge: int
    corner: tuple[float, float]
    view: tuple[float, float, float]
    values: Sequence[int]
    strokes: list[Stroke] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(SEED)

    def warm_up(self) -> None:
        """Let the browser compile what it is about to run."""
        for _ in range(8):
            self.stroke()
        self.page.evaluate("probe.take()")

    def paint(self, strokes: int) -> Record:
        """Paint so many strokes; returns what each event took."""
        for _ in range(strokes):
            self.stroke()
        return self.taken()

    def paint_until(self, ends: float) -> Record:
        """Paint until a moment, with an undo now and then."""
        count = 0
        while time.monotonic() < ends:
            self.stroke()
            count += 1
            if count % 10 == 0:
                self.page.keyboard.press("Control+z")
        return self.taken()

    def stroke(self) -> None:
        """Choose a label, press, wander, let go."""
        index = len(self.strokes) % len(self.values)
        self.page.keyboard.press(str(index + 1))
        at = self.rng.uniform(0.1, 0.9, 2) * SEEN
        course = self.rng.uniform(0, 2 * math.pi)
        places = [self._to(at)]
        self.page.mouse.down()
        for _ in range(10):
            course += self.rng.normal(0, 0.5)
            step = self.rng.uniform(2, 24) * np.array(
                [math.cos(course), math.sin(course)]
            )
            at = np.clip(at + step, 4, SEEN - 4)
            places.append(self._to(at))
        self.page.mouse.up()
        self.strokes.append((self.values[index], places))

    def _to(self, at: NDArray[np.float64]) -> tuple[float, float]:
        left, top, scale = self.view
        # whole CSS pixels, as a mouse gives them
        x = round(self.corner[0] - left * scale + at[0])
        y = round(self.corner[1] - top * scale + at[1])
        self.page.mouse.move(x, y)
        return left + (x - self.corner[0]) / scale, top + (y - self.corner[1]) / scale

    def taken(self) -> Record:
        """Return what the probe measured since it was last asked."""
        found = self.page.evaluate("probe.take()")
        pixels, times = found["pixels"], found["times"]
        every = [*pixels["down"], *pixels["move"]]
        return {
            "dab_ms": spread([handled for handled, _ in every]),
            "first_dab_ms": spread([handled for handled, _ in pixels["down"]]),
            "from_time_stamp_ms": spread([since for _, since in every]),
            "let_go_ms": spread(times["up"]),
            "step_ms": spread(times["stroke"]),
            "steps": len(times["stroke"]),
            "events": len(every),
        }

    def expected(self, size: int) -> U1:
        """Return what all strokes must have painted: discs all along the way."""
        raster = np.zeros((self.edge + 2 * size, self.edge + 2 * size), np.uint8)
        middle = (size - 1) / 2
        across = np.arange(size) - middle
        disc = across[:, None] ** 2 + across**2 <= ((size - 0.5) / 2) ** 2
        nearest = math.floor if size % 2 else lambda at: math.floor(at + 0.5)
        for value, places in self.strokes:
            pixels = [(nearest(x), nearest(y)) for x, y in places]
            for start, end in zip([pixels[0], *pixels], pixels, strict=False):
                for x, y in line(*start, *end):
                    top, left = y - size // 2 + size, x - size // 2 + size
                    raster[top : top + size, left : left + size][disc] = value
        return raster[size:-size, size:-size]


def line(x0: int, y0: int, x1: int, y1: int) -> Iterator[tuple[int, int]]:
    """Yield the pixels from one to the other (Bresenham, IBM Systems Journal, 1965)."""
    dx, dy = abs(x1 - x0), -abs(y1 - y0)
    error = dx + dy
    while True:
        yield x0, y0
        if (x0, y0) == (x1, y1):
            return
        twice = 2 * error
        if twice >= dy:
            error, x0 = error + dy, x0 + (1 if x0 < x1 else -1)
        if twice <= dx:
            error, y0 = error + dx, y0 + (1 if y0 < y1 else -1)


class Meter:
    """Processor time of the page's thread, and memory of its process."""

    def __init__(self, page: Page) -> None:
        self.cdp: CDPSession = page.context.new_cdp_session(page)
        # the processor's time: what else the machine does is not in it
        self.cdp.send("Performance.enable", {"timeDomain": "threadTicks"})

    def over(self, work: Callable[[], Record]) -> Record:
        """Return what the work says, what it took, and the memory held after it."""
        before = self._spent()
        record = work()
        spent = self._spent() - before
        self.cdp.send("HeapProfiler.collectGarbage")
        heap = self.cdp.send("Runtime.getHeapUsage")
        held = heap["usedSize"] + heap.get("backingStorageSize", 0)
        return {
            **record,
            "cpu_ms_per_step": round(1000 * spent / max(1, record["steps"]), 2),
            "memory_mib": round(held / 2**20, 1),
            "heap_mib": round(heap["usedSize"] / 2**20, 1),
            "process_mib": round(max(map(peers.pss, renderers())) / 2**20),
        }

    def _spent(self) -> float:
        metrics = self.cdp.send("Performance.getMetrics")["metrics"]
        return float(next(m["value"] for m in metrics if m["name"] == "ThreadTime"))


def renderers() -> Iterator[int]:
    """Yield the processes below this one that show pages."""
    for process in peers.descendants(os.getpid()):
        with suppress(OSError):
            if b"--type=renderer" in Path(f"/proc/{process}/cmdline").read_bytes():
                yield process


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, 95th percentile and maximum."""
    if not values:
        raise RuntimeError("nothing was measured: did the page hear the pointer?")
    p50, p95 = np.percentile(values, [50, 95])
    figures = {"p50": p50, "p95": p95, "max": max(values)}
    return {name: round(float(value), 2) for name, value in figures.items()}
