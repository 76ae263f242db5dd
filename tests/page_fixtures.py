"""A real browser on the live service's page, signed in by one-time links."""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from live_fixtures import Live, serving
from loop_fixtures import annotate, place
from numpy.typing import NDArray
from PIL import Image as Picture
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    expect,
    sync_playwright,
)
from pydantic import SecretStr

from backend.domain.states import Split
from backend.schemas.project import NewProject
from backend.settings import Settings

CHROMIUM = Path(os.environ.get("CISTERNA_TEST_CHROMIUM", "/usr/bin/chromium"))
ROOT = Path(__file__).parent.parent
BUILT = ROOT / "backend/ui/index.html"
AXE = ROOT / "frontend/node_modules/axe-core/axe.min.js"
PATIENCE = 20_000
"""Milliseconds a page may take for anything, on a machine that does other things."""


# not of the session: Playwright keeps an event loop in this thread while it lives, and
# other modules run their own
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; tests without it are skipped."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}; CISTERNA_TEST_CHROMIUM names another")
    assert BUILT.exists(), "The page is not built: run `make page`."
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served(
    make_database: Callable[[], str],
    valkey_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Live]:
    """One service for many tests of the page; each makes projects of its own."""
    settings = Settings(
        database_url=SecretStr(make_database()),
        broker_url=SecretStr(valkey_url),
        data_dir=tmp_path_factory.mktemp("served"),
    )
    with serving(settings) as running:
        yield running


Browsing = Callable[..., Page]


@pytest.fixture
def browse(chromium: Browser, live: Live) -> Iterator[Browsing]:
    """Open the page as somebody: `browse(link)`, at 1280 x 720 unless said otherwise.

    A link that invites somebody new asks for the `name`; what else is given goes to
    the browser's context. Whatever the page says on the console as an error, or throws,
    fails the test.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda said: wrong.append(said.text) if said.type == "error" else None,
        )

    def open_page(
        link: str | None = None,
        width: int = 1280,
        height: int = 720,
        name: str | None = None,
        **options: bool | str,
    ) -> Page:
        context = chromium.new_context(
            base_url=live.url,
            viewport={"width": width, "height": height},
            **options,  # type: ignore[arg-type]
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        context.on("page", watch)
        page = context.new_page()
        # links name the service's official address, not the port it has here
        page.goto("/#" + (link or sign_in_link(live)).partition("#")[2])
        if name is not None:
            page.get_by_label("Your name").fill(name)
            page.get_by_role("button", name="Join").click()
        page.get_by_role("heading", name="Projects").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    # an answer of 4xx is told on the console although the page deals with it
    assert [w for w in wrong if "Failed to load resource" not in w] == []


def sign_in_link(live: Live) -> str:
    """A one-time link for the admin."""
    service = live.service
    link: str = service.people.sign_in_link(service.people.me().id).link
    return link


def invitation(live: Live, project: str, role: str) -> str:
    """A one-time link for somebody new."""
    link: str = live.service.projects.invite(project, role).link
    return link


def painting_project(
    live: Live, name: str, *, review: bool = False, images: int = 1
) -> str:
    """A project of 64-pixel tiles whose first tiles wait to be painted."""
    body = NewProject(
        name=name,
        preset="liver",
        tile_size=64,
        query_size=4,
        segmenter="forest",
        review=review,
    )
    slug = live.service.projects.create(body).slug
    database, store = live.app.state.database, live.app.state.store
    for seed in range(images):
        place(database, store, slug, seed=seed)
    return slug


def rounds(live: Live, name: str, times: int = 1, **about: bool) -> str:
    """A project whose network has learnt so many times and is measured."""
    slug = painting_project(live, name, images=2, **about)
    database, store = live.app.state.database, live.app.state.store
    taught = place(database, store, slug, seed=11)
    check = place(database, store, slug, seed=12, split=Split.VALIDATION)
    test = place(database, store, slug, seed=13, split=Split.TEST)
    annotate(database, check, range(8))
    annotate(database, test, range(5))
    place(database, store, slug, seed=14, split=Split.NONE)
    for turn in range(times):
        annotate(database, taught, range(3 * turn, 3 * turn + 3), seconds=400.0)
        live.service.trainings.start(slug)
        live.work()
    return slug


def pixels(locator: Locator) -> NDArray[np.uint8]:
    """What a part of the page looks like: (rows, columns, 3) uint8."""
    with Picture.open(io.BytesIO(locator.screenshot())) as shot:
        return np.asarray(shot.convert("RGB"))


def violations(page: Page) -> Sequence[str]:
    """What axe-core finds against WCAG 2 A and AA; needs a page with `bypass_csp`."""
    page.evaluate("source => { (0, eval)(source); }", AXE.read_text())
    found = page.evaluate(
        """async () => {
            const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
            const { violations } = await axe.run(document, {
                runOnly: { type: "tag", values: tags },
            });
            return violations.flatMap((rule) =>
                rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.html}`));
        }"""
    )
    return [str(each) for each in found]
