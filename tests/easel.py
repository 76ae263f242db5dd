"""The annotator on a page, as a hand at a mouse and an eye on pixels know it."""

import time
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from page_fixtures import PATIENCE
from playwright.sync_api import Page, expect

Mask = NDArray[np.uint8]
Pixel = tuple[int, int]
"""x and y, counted from the tile's top left."""


class Easel:
    """A tile on the bench; pixels are named as the tile counts them."""

    def __init__(self, page: Page, slug: str | None, tour: bool = False) -> None:
        """Go to a project's next tile, or take the one that is coming to the page."""
        self.page = page
        if not tour:
            done = "localStorage.setItem('cisterna.toured', '{\"done\": true}')"
            page.add_init_script(done)
        if slug is not None:
            page.goto(f"/projects/{slug}/annotate")
        self.wait()

    def wait(self) -> None:
        """Wait until the tile is there to be painted."""
        self.stage = self.page.get_by_role("application")
        expect(self.stage).to_be_visible()
        self.page.wait_for_url("**view=*")

    def _said(self, name: str) -> str:
        return parse_qs(urlsplit(self.page.url).query)[name][0]

    @property
    def task(self) -> UUID:
        """The task whose tile is painted."""
        return UUID(self._said("tile"))

    def at(self, pixel: Pixel) -> tuple[float, float]:
        """Where a pixel is on the screen, a bit before its middle.

        Brushes of even size stand on the nearest corner of pixels: its upper left.
        """
        left, top, scale = map(float, self._said("view").split(","))
        box = self.stage.bounding_box()
        assert box is not None
        x, y = pixel
        return (
            box["x"] + (x + 0.4 - left) * scale,
            box["y"] + (y + 0.4 - top) * scale,
        )

    def stroke(self, *pixels: Pixel) -> None:
        """Press at the first of these pixels, drag over the others, let go."""
        mouse = self.page.mouse
        mouse.move(*self.at(pixels[0]))
        mouse.down()
        for pixel in pixels[1:]:
            mouse.move(*self.at(pixel), steps=3)
        mouse.up()

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def brush(self, size: int) -> None:
        """Take the brush of one of the sizes there are buttons for."""
        self.press("b")
        sizes = self.page.get_by_role("group", name="Brush sizes")
        sizes.get_by_role("button", name=f"{size} pixels", exact=True).click()

    def open(self, section: str) -> None:
        """Unfold a part of the side panel."""
        summary = self.page.locator("summary", has_text=section)
        if not summary.evaluate("summary => summary.parentElement.open"):
            summary.click()

    def saved(self) -> None:
        """Wait until everything is on the server."""
        expect(self.page.locator(".chip")).to_have_text("Saved")

    def submit(self) -> None:
        """Send the tile, slips or not, and wait until it is gone."""
        before = self.page.url
        self.press("Control+Enter")
        warned = self.page.get_by_role("button", name="Submit anyway")
        gone = self.page.get_by_role("heading", name="No tile for now")
        tile = parse_qs(urlsplit(before).query)["tile"][0]

        def ended() -> bool:
            if warned.is_visible():
                warned.click()
            return tile not in self.page.url or gone.is_visible()

        until(self.page, ended)


def until(page: Page, condition: Callable[[], bool]) -> None:
    """Wait for what neither the page nor its address says."""
    end = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < end, "it never became true"
        page.wait_for_timeout(50)


def dabs(mask: Mask, value: int, size: int, pixels: Iterable[Pixel]) -> Mask:
    """The mask with a round brush of `size` set down at each of these pixels."""
    painted = mask.copy()
    middle = (size - 1) / 2
    yy, xx = np.mgrid[:size, :size]
    disc = (yy - middle) ** 2 + (xx - middle) ** 2 <= ((size - 0.5) / 2) ** 2
    for x, y in pixels:
        for dy, dx in np.argwhere(disc) - size // 2:
            if 0 <= y + dy < mask.shape[0] and 0 <= x + dx < mask.shape[1]:
                painted[y + dy, x + dx] = value
    return painted
