"""The annotator in a browser: what is painted is what is kept, sent and exported."""

import io
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from easel import Easel, Mask, Pixel, dabs, until
from live_fixtures import Live
from loop_fixtures import place, project_id
from page_fixtures import (
    Browsing,
    invitation,
    painting_project,
    pixels,
    rounds,
    sign_in_link,
    violations,
)
from PIL import Image as Picture
from playwright.sync_api import Page, expect
from sqlalchemy import update

from backend.domain.labels import UNKNOWN
from backend.models import Task

NUCLEUS, MITO, DROPLET, ER, BOUNDARY = range(1, 6)
SIDE = 64
EMPTY: Mask = np.zeros((SIDE, SIDE), np.uint8)


@pytest.fixture
def live(served: Live) -> Live:
    """The service of all tests of this file."""
    return served


@pytest.fixture(scope="module")
def learnt(served: Live) -> str:
    """A project whose network proposes labels."""
    return rounds(served, "Pre-labelled")


def across(x0: int, x1: int, y: int) -> list[Pixel]:
    """The pixels of a horizontal line, both ends included."""
    return [(x, y) for x in range(x0, x1 + 1)]


def draft(live: Live, easel: Easel) -> Mask | None:
    """The work on the tile at hand as the server has it."""
    found: Mask | None = live.service.tasks.draft(easel.task)
    return found


def choose(live: Live, slug: str) -> None:
    """Ask for two tiles of a project."""
    tiles = [tile.id for tile in live.service.queries.tiles(slug)]
    live.service.queries.choose(slug, tiles[:2])


def touching(page: Page) -> Callable[..., None]:
    """What puts fingers on a page: a kind of event, and (x, y) of each finger left."""
    devices = page.context.new_cdp_session(page)

    def touch(kind: str, *fingers: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(fingers)]
        event = {"type": kind, "touchPoints": points}
        devices.send("Input.dispatchTouchEvent", event)

    return touch


def kept(live: Live, easel: Easel, expected: Mask) -> None:
    """Wait until the server has exactly these pixels."""

    def same() -> bool:
        found = draft(live, easel)
        return found is not None and np.array_equal(found, expected)

    until(easel.page, same)


def test_what_is_painted_is_what_is_sent_and_exported(
    live: Live, browse: Browsing, tmp_path: Path
) -> None:
    slug = painting_project(live, "Exact")
    easel = Easel(browse(), slug)
    task = live.service.tasks.get(easel.task)
    easel.press("2")
    easel.brush(4)
    easel.stroke((10, 10), (40, 10), (40, 30))
    easel.press("4")
    easel.brush(1)
    easel.stroke((5, 50))
    easel.stroke((0, 0), (63, 0))
    easel.brush(16)
    easel.press("1")
    easel.stroke((62, 61))
    easel.press("9")
    easel.brush(4)
    easel.stroke((50, 20))
    easel.press("e")
    easel.stroke((20, 10))
    expected = dabs(EMPTY, MITO, 4, across(10, 40, 10))
    expected = dabs(expected, MITO, 4, [(40, y) for y in range(10, 31)])
    expected = dabs(expected, ER, 1, [(5, 50), *across(0, 63, 0)])
    expected = dabs(expected, NUCLEUS, 16, [(62, 61)])
    expected = dabs(expected, UNKNOWN, 4, [(50, 20)])
    expected = dabs(expected, 0, 4, [(20, 10)])
    kept(live, easel, expected)
    easel.submit()
    [sent] = [a for a in live.service.annotations.list(slug) if a.task_id == task.id]
    assert sent.state == "accepted"
    assert (sent.active_seconds or 0) > 0
    assert sent.complete_for == [1, 2, 3, 4, 5]
    assert np.array_equal(live.service.annotations.mask(sent.id), expected)
    job = live.service.exports.start(slug)
    live.work()
    live.service.exports.download(job.id, tmp_path / "export.zip")
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        [name] = [
            name
            for name in archive.namelist()
            if "labels/" in name and name.endswith(".png")
        ]
        with Picture.open(io.BytesIO(archive.read(name))) as picture:
            exported = np.asarray(picture)
    box = task.tile.box
    tile = np.s_[box.y : box.y + box.h, box.x : box.x + box.w]
    assert np.array_equal(exported[tile], expected)
    exported = exported.copy()
    exported[tile] = UNKNOWN
    assert (exported == UNKNOWN).all()


def test_undo_and_redo_survive_a_reload(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Undo")
    easel = Easel(browse(), slug)
    easel.press("3")
    easel.brush(4)
    steps = [EMPTY]
    for y in (10, 20, 30, 40):
        easel.stroke((10, y), (50, y))
        steps.append(dabs(steps[-1], DROPLET, 4, across(10, 50, y)))
    kept(live, easel, steps[4])
    easel.press("Control+z", "Control+z")
    kept(live, easel, steps[2])
    easel.press("Control+y")
    kept(live, easel, steps[3])
    task = easel.task
    easel.page.reload()
    easel.wait()
    assert easel.task == task
    easel.press("Control+z", "Control+z", "Control+z")
    kept(live, easel, EMPTY)
    easel.press(*["Control+Shift+Z"] * 5)
    kept(live, easel, steps[4])


def test_work_goes_on_without_the_server(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Tunnel")
    page = browse()
    easel = Easel(page, slug)
    page.context.set_offline(True)
    easel.press("2")
    easel.brush(4)
    easel.stroke((10, 10), (40, 10))
    chip = page.locator(".chip")
    expect(chip).to_contain_text("Offline, 1 edit kept on this computer")
    easel.stroke((10, 20), (40, 20))
    expect(chip).to_contain_text("2 edits kept")
    assert draft(live, easel) is None
    page.context.set_offline(False)
    expected = dabs(EMPTY, MITO, 4, across(10, 40, 10) + across(10, 40, 20))
    kept(live, easel, expected)
    easel.saved()
    # a tile that is sent without a line goes when there is one
    task = easel.task
    page.context.set_offline(True)
    easel.submit()
    expect(page.get_by_text("One sent tile waits on this computer")).to_be_visible()
    page.context.set_offline(False)
    until(page, lambda: live.service.tasks.get(task).state == "accepted")
    assert np.array_equal(live.service.tasks.mask(task), expected)
    expect(page.get_by_text("One sent tile waits")).not_to_be_visible()


def test_a_crash_loses_nothing_that_was_painted(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Crash")
    page = browse()
    easel = Easel(page, slug)
    page.context.set_offline(True)
    easel.press("5")
    easel.brush(4)
    easel.stroke((20, 20), (40, 20))
    expect(page.locator(".chip")).to_contain_text("1 edit kept")
    # the tab is gone, the browser still there
    other = page.context.new_page()
    page.close()
    other.context.set_offline(False)
    again = Easel(other, slug)
    kept(live, again, dabs(EMPTY, BOUNDARY, 4, across(20, 40, 20)))


def test_two_versions_are_never_mixed_nor_lost(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Twice")
    link = sign_in_link(live)
    one, other = Easel(browse(link), slug), Easel(browse(), slug)
    assert one.task == other.task
    for easel, y in ((one, 10), (other, 40)):
        easel.press("2")
        easel.brush(4)
        easel.stroke((10, y), (40, y))
        if easel is one:
            mine = dabs(EMPTY, MITO, 4, across(10, 40, y))
            kept(live, one, mine)
    theirs = dabs(EMPTY, MITO, 4, across(10, 40, 40))
    dialog = other.page.get_by_role("dialog")
    expect(dialog).to_contain_text("There are two versions of this tile")
    expect(dialog).to_contain_text(f"differ in {np.count_nonzero(mine != theirs)} of")
    assert np.array_equal(draft(live, other), mine)
    dialog.get_by_role("button", name="Keep mine").click()
    kept(live, other, theirs)
    # the other tab learns of it with its next stroke and takes the server's
    one.stroke((10, 20), (40, 20))
    dialog = one.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Take the server").click()
    expect(dialog).not_to_be_visible()
    one.saved()
    assert np.array_equal(draft(live, one), theirs)
    one.page.get_by_role("button", name="Bring it back").first.click()
    kept(live, one, dabs(mine, MITO, 4, across(10, 40, 20)))


def test_a_sign_in_that_ends_loses_no_work(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Expired")
    page = browse()
    easel = Easel(page, slug)
    easel.press("2")
    easel.brush(4)
    easel.stroke((10, 30), (40, 30))
    first = dabs(EMPTY, MITO, 4, across(10, 40, 30))
    kept(live, easel, first)
    task = easel.task
    page.context.clear_cookies()
    easel.stroke((10, 10), (40, 10))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Your sign-in has ended")
    dialog.get_by_label("One-time sign-in link").fill(sign_in_link(live))
    dialog.get_by_role("button", name="Sign in", exact=True).click()
    easel.saved()
    expected = dabs(first, MITO, 4, across(10, 40, 10))
    assert np.array_equal(live.service.tasks.draft(task), expected)


def test_a_tile_is_skipped_with_a_reason(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Skipping")
    page = browse()
    easel = Easel(page, slug)
    task = easel.task
    easel.press("Control+Space")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Skip the tile")).to_be_disabled()
    dialog.get_by_label("It is out of focus").check()
    dialog.get_by_role("button", name="Skip the tile").click()
    until(page, lambda: easel.task != task)
    skipped = live.service.tasks.get(task)
    assert (skipped.state, skipped.skip_reason) == ("skipped", "out of focus")
    page.goto(f"/projects/{slug}/queue")
    expect(page.get_by_text("1 × out of focus")).to_be_visible()


def test_an_er_only_task_takes_er_only(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "ER")
    choose(live, slug)
    database = live.app.state.database
    with database.unit_of_work() as session:
        ours = Task.project_id == project_id(database, slug)
        session.execute(update(Task).where(ours).values(complete_for=[ER]))
    page = browse()
    easel = Easel(page, slug)
    expect(page.get_by_text("Only ER is asked for here")).to_be_visible()
    easel.brush(4)
    easel.stroke((10, 10), (40, 10))
    kept(live, easel, dabs(EMPTY, ER, 4, across(10, 40, 10)))
    task = easel.task
    easel.submit()
    [sent] = [a for a in live.service.annotations.list(slug) if a.task_id == task]
    assert sent.complete_for == [ER]


def test_an_empty_queue_says_why_and_goes_on(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Nothing left", images=0)
    page = browse()
    page.goto(f"/projects/{slug}/annotate")
    expect(page.get_by_role("heading", name="No tile for now")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("image")
    place(live.app.state.database, live.app.state.store, slug, seed=1)
    choose(live, slug)
    # nobody reloads the page
    expect(page.get_by_role("application")).to_be_visible()


def test_the_prelabel_is_taken_over_and_doubt_is_shown(
    live: Live, browse: Browsing, learnt: str
) -> None:
    page = browse()
    easel = Easel(page, learnt)
    task = live.service.tasks.get(easel.task)
    assert task.prediction_id is not None
    box = task.tile.box
    where = {"y": box.y, "x": box.x, "h": box.h, "w": box.w}
    said = live.service.predictions.raster(task.prediction_id, "labels", **where)
    assert {0, ER} <= set(np.unique(said))
    easel.press("4", "Shift+a")
    expected = np.where(said == ER, said, 0).astype(np.uint8)
    kept(live, easel, expected)
    easel.open("Pre-label")
    page.get_by_role("button", name="Clear ER from the tile").click()
    kept(live, easel, EMPTY)
    page.get_by_role("button", name="Accept all").click()
    kept(live, easel, said)
    easel.press("Control+z", "Control+z")
    kept(live, easel, expected)
    # the picture: labels, raw while held, doubt
    easel.press("m")
    page.mouse.move(2, 2)
    labelled = pixels(easel.stage)
    page.keyboard.down("h")
    until(page, lambda: coloured(pixels(easel.stage)) < 0.01)
    page.keyboard.up("h")
    until(page, lambda: alike(pixels(easel.stage), labelled))
    easel.open("Uncertainty")
    page.get_by_role("slider", name="From", exact=True).fill("2")
    easel.stage.focus()
    plain = pixels(easel.stage)
    easel.press("u")
    # how much of a tile is in doubt is the model's affair
    until(page, lambda: not alike(pixels(easel.stage), plain))
    easel.press("u")
    until(page, lambda: alike(pixels(easel.stage), plain))
    before = page.url
    easel.press("n")
    expect(page.get_by_text("Hot spot 1 of")).to_be_visible()
    until(page, lambda: page.url != before)


def alike(one: Mask, other: Mask) -> bool:
    """Whether two pictures are the same but for a frame or a cursor."""
    return float((one != other).any(2).mean()) < 0.01


def coloured(shot: Mask) -> float:
    """Share of the pixels that are not grey."""
    spread = shot.max(2).astype(int) - shot.min(2)
    return float((spread > 24).mean())


def test_every_tool_paints_and_is_one_step(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Tools")
    page = browse()
    easel = Easel(page, slug)
    easel.press("2")

    def shares() -> str:
        return page.locator("[data-value='2'] .share").inner_text()

    def painted_once(what: str) -> None:
        until(page, lambda: shares() not in ("–", ""))
        easel.press("Control+z")
        until(page, lambda: shares() in ("–", ""))

    easel.press("f")
    easel.stroke((30, 30))
    painted_once("fill")
    easel.press("p")
    for corner in ((10, 10), (40, 10), (40, 40), (10, 40)):
        easel.stroke(corner)
    easel.press("Enter")
    painted_once("polygon")
    easel.press("w")
    easel.stroke((30, 30))
    easel.press("Enter")
    painted_once("wand")
    easel.press("s")
    easel.stroke((30, 30), (32, 30))
    easel.press("Enter")
    painted_once("superpixel")
    easel.press("t")
    easel.stroke((10, 30), (50, 30))
    painted_once("threshold")
    easel.brush(4)
    easel.stroke((30, 30))
    kept(live, easel, dabs(EMPTY, MITO, 4, [(30, 30)]))
    easel.open("Clean up")
    page.get_by_role("button", name="Grow").click()
    until(page, lambda: int(np.count_nonzero(draft(live, easel))) > 14)
    easel.press("Control+z", "Control+z")
    kept(live, easel, EMPTY)


def test_painting_with_the_keyboard_alone(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Keys")
    page = browse()
    easel = Easel(page, slug)
    for _ in range(60):
        if (
            page.evaluate("document.activeElement.getAttribute('role')")
            == "application"
        ):
            break
        easel.press("Tab")
    easel.press("2", "b")
    for _ in range(40):
        easel.press("[")
    easel.press("ArrowRight")
    expect(page.locator(".readout")).to_contain_text("x ")
    text = page.locator(".readout").inner_text()
    x, y = (int(part.split()[1]) for part in text.split("·")[0].strip().split(","))
    easel.press("Shift+Enter", *["ArrowRight"] * 5, "Enter")
    easel.press("ArrowDown", "Enter")
    expected = dabs(EMPTY, MITO, 1, [*across(x, x + 5, y), (x + 5, y + 1)])
    kept(live, easel, expected)
    task = easel.task
    easel.submit()
    assert live.service.tasks.get(task).state == "accepted"


def test_the_annotator_is_accessible(live: Live, browse: Browsing, learnt: str) -> None:
    page = browse(bypass_csp=True)
    easel = Easel(page, learnt, tour=True)
    assert violations(page) == []
    for _ in range(4):
        page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("button", name="Start").click()
    for section in page.locator("summary").all():
        if not section.evaluate("summary => summary.parentElement.open"):
            section.click()
    assert violations(page) == []
    page.get_by_role("button", name="Light").click()
    assert violations(page) == []
    for keys, heading in (("?", "keys"), ("Control+Space", "Skip this tile")):
        page.locator("body").click(position={"x": 400, "y": 5})
        easel.press(keys)
        expect(page.get_by_role("dialog")).to_contain_text(heading)
        assert violations(page) == []
        easel.press("Escape")
        expect(page.get_by_role("dialog")).not_to_be_visible()


def test_what_is_protected_is_not_painted_over(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Protected")
    page = browse()
    easel = Easel(page, slug)
    easel.press("2")
    easel.brush(16)
    easel.stroke((20, 20))
    mito = dabs(EMPTY, MITO, 16, [(20, 20)])
    easel.press("4", "l")
    easel.brush(4)
    easel.stroke((5, 20), (50, 20))
    er = dabs(EMPTY, ER, 4, across(5, 50, 20))
    expected = np.where(mito == 0, er, mito)
    kept(live, easel, expected)
    # over everything again, but not over a locked label
    page.get_by_text("All", exact=True).click()
    page.get_by_role("button", name="Lock mitochondria").click()
    easel.press("5")
    easel.stroke((20, 5), (20, 50))
    boundary = dabs(EMPTY, BOUNDARY, 4, [(20, y) for y in range(5, 51)])
    expected = np.where((boundary == 0) | (mito != 0), expected, boundary)
    kept(live, easel, expected)
    # Alt erases while it is held
    page.keyboard.down("Alt")
    easel.stroke((45, 20), (50, 20))
    page.keyboard.up("Alt")
    kept(live, easel, dabs(expected, 0, 4, across(45, 50, 20)))


def test_a_finger_paints_and_two_fingers_zoom(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Touched")
    page = browse(has_touch=True)
    easel = Easel(page, slug)
    easel.press("2")
    easel.brush(4)
    touch = touching(page)

    def fingers(kind: str, *places: Pixel) -> None:
        touch(kind, *map(easel.at, places))

    fingers("touchStart", (10, 10))
    fingers("touchMove", (30, 10))
    fingers("touchEnd")
    expected = dabs(EMPTY, MITO, 4, across(10, 30, 10))
    kept(live, easel, expected)
    before = page.locator(".zoom").inner_text()
    fingers("touchStart", (28, 30))
    fingers("touchStart", (28, 30), (36, 30))
    fingers("touchMove", (16, 30), (48, 30))
    fingers("touchEnd")
    expect(page.locator(".zoom")).not_to_have_text(before)
    easel.saved()
    assert np.array_equal(live.service.tasks.draft(easel.task), expected)


def test_a_pen_paints_and_a_finger_beside_it_moves_the_picture(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Penned")
    page = browse(has_touch=True)
    easel = Easel(page, slug)
    easel.press("2")
    easel.brush(4)
    devices = page.context.new_cdp_session(page)

    def pen(kind: str, to: Pixel, buttons: int) -> None:
        x, y = easel.at(to)
        event = {"type": kind, "x": x, "y": y, "pointerType": "pen", "button": "left"}
        devices.send(
            "Input.dispatchMouseEvent",
            {**event, "buttons": buttons, "clickCount": 1, "force": 0.5},
        )

    pen("mousePressed", (10, 10), 1)
    pen("mouseMoved", (30, 10), 1)
    pen("mouseReleased", (30, 10), 0)
    expected = dabs(EMPTY, MITO, 4, across(10, 30, 10))
    kept(live, easel, expected)
    touch = touching(page)
    touch("touchStart", easel.at((20, 40)))
    touch("touchMove", easel.at((25, 40)))
    touch("touchEnd")
    easel.saved()
    assert np.array_equal(live.service.tasks.draft(easel.task), expected)


def test_a_finger_takes_and_drops_an_outline_and_looks_at_the_raw_image(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Fingers")
    page = browse(has_touch=True)
    easel = Easel(page, slug)
    easel.press("2", "p")
    button = partial(page.get_by_role, "button", exact=True)
    take, drop = button(name="Take"), button(name="Drop")

    def tap(*corners: Pixel) -> None:
        for corner in corners:
            page.touchscreen.tap(*easel.at(corner))

    expect(drop).to_have_count(0)
    tap((10, 10), (40, 10))
    expect(take).to_be_disabled()  # two corners enclose nothing
    drop.tap()
    expect(drop).to_have_count(0)
    tap((10, 10), (40, 10), (40, 40), (10, 40))
    take.tap()
    expect(take).to_have_count(0)
    until(page, lambda: draft(live, easel) is not None)
    painted = draft(live, easel)
    assert painted is not None
    assert set(np.unique(painted[12:38, 12:38])) == {MITO}
    assert not painted[:8].any()

    raw = page.get_by_role("button", name="Raw")
    box = raw.bounding_box()
    assert box is not None
    touch = touching(page)
    touch("touchStart", (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
    expect(raw).to_have_attribute("aria-pressed", "true")
    touch("touchEnd")
    expect(raw).to_have_attribute("aria-pressed", "false")


def test_no_two_people_get_the_same_tile(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Shared")
    link = invitation(live, slug, "annotator")
    one = Easel(browse(link, name="Second pair of eyes"), slug)
    page = browse()
    assert Easel(page, slug).task != one.task
    page.goto(f"/projects/{slug}/queue")
    hands = page.get_by_role("table").filter(has_text="Until")
    expect(hands.get_by_role("row").filter(has_text="admin")).to_have_count(2)
    expect(hands.get_by_role("row").filter(has_text="Second")).to_have_count(2)
