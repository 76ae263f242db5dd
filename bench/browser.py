"""A Chromium without a graphics card that is signed in to a service."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from backend.client import Cisterna

CHROMIUM = Path(os.environ.get("CISTERNA_TEST_CHROMIUM", "/usr/bin/chromium"))
FLAGS = ("--no-sandbox", "--disable-gpu")
WINDOW = {"width": 1440, "height": 900}
PROBE = Path(__file__).with_name("page_probe.js")
PATIENCE = 60_000
"""Milliseconds the page may take for anything before the bench gives up."""

State = dict[str, Any]
"""Cookies and stored settings of a browser, as Playwright keeps them."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the browser; it draws with the processor alone."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield browser
        browser.close()


def sign_in(browser: Browser, service: Cisterna, url: str) -> State:
    """Redeem a one-time link; returns what the browser remembers afterwards."""
    link = service.people.sign_in_link(service.people.me().id).link
    with window(browser, {}) as page:
        # links name the service's official address, which a proxy may stand for
        page.goto(f"{url}/#{link.partition('#')[2]}")
        page.get_by_role("heading", name="Projects").wait_for()
        return {**page.context.storage_state()}


def with_settings(state: State, url: str, settings: Mapping[str, object]) -> State:
    """Return the state of somebody who has toured the page and chosen settings."""
    kept = {"toured": {"done": True}, **settings}
    items = [
        {"name": f"cisterna.{name}", "value": json.dumps(value)}
        for name, value in kept.items()
    ]
    return {**state, "origins": [{"origin": url, "localStorage": items}]}


@contextmanager
def window(browser: Browser, state: State, **options: Any) -> Iterator[Page]:
    """Open an empty window that shares nothing with others, the probe in it."""
    settings = {"viewport": WINDOW, **options}
    context: BrowserContext = browser.new_context(
        storage_state=state or None,  # type: ignore[arg-type]
        **settings,
    )
    context.set_default_timeout(PATIENCE)
    context.add_init_script(path=PROBE)
    try:
        yield context.new_page()
    finally:
        context.close()
