"""Reviewing in a browser: accept, mend, send back, and what the author sees of it."""

import re

import numpy as np
import pytest
from easel import Easel, Mask, dabs, until
from live_fixtures import Live
from page_fixtures import (
    Browsing,
    invitation,
    painting_project,
    pixels,
    rounds,
    violations,
)
from playwright.sync_api import Page, expect
from sqlalchemy import select, update

from backend.models import Project, Task

MITO, ER = 2, 4
EMPTY: Mask = np.zeros((64, 64), np.uint8)
FIRST = dabs(EMPTY, MITO, 16, [(20, 20), (21, 20), (22, 20)])


@pytest.fixture
def live(served: Live) -> Live:
    """The service of all tests of this file."""
    return served


def sent_in(live: Live, browse: Browsing, slug: str) -> Easel:
    """A newcomer who has sent a tile; the easel is theirs."""
    link = invitation(live, slug, "annotator")
    easel = Easel(browse(link, name=f"author of {slug}"), slug)
    easel.press("2")
    easel.brush(16)
    easel.stroke((20, 20), (22, 20))
    easel.submit()
    return easel


def judging(browse: Browsing, slug: str, **options: bool) -> Page:
    """The admin's page with a tile to judge on it."""
    page = browse(**options)
    page.goto(f"/projects/{slug}/review")
    expect(page.get_by_role("img", name="Painted")).to_be_visible()
    return page


def test_a_tile_is_looked_at_and_accepted(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Judged", review=True)
    sent_in(live, browse, slug)
    [sent] = live.service.annotations.list(slug)
    assert sent.state == "waiting"
    page = judging(browse, slug)
    expect(page.get_by_role("main")).to_contain_text("by author of judged")
    painted = pixels(page.get_by_role("img", name="Painted"))
    beside = pixels(page.get_by_role("img", name="image", exact=True))
    assert (spread(painted) > 20).mean() > 0.02
    assert (spread(beside) > 20).mean() < 0.01
    page.get_by_role("slider", name="Zoom").fill("4")
    window = page.get_by_role("group", name="Painted")
    window.evaluate("window => window.scrollTo(120, 90)")
    other = page.get_by_role("group", name="image")
    until(page, lambda: other.evaluate("each => each.scrollLeft") == 120)
    page.get_by_role("button", name="Accept", exact=True).click()
    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    [sent] = live.service.annotations.list(slug)
    assert (sent.state, sent.accepter) == ("accepted", "admin")
    assert np.array_equal(live.service.annotations.mask(sent.id), FIRST)


def spread(shot: Mask) -> Mask:
    """How far each pixel is from grey."""
    return shot.max(2).astype(int) - shot.min(2)


def test_a_tile_goes_back_with_pins_and_comes_again(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Returned", review=True)
    author = sent_in(live, browse, slug)
    page = judging(browse, slug)
    send_back = page.get_by_role("button", name="Send back")
    send_back.click()
    expect(page.get_by_role("alert")).to_contain_text("Say what is to be mended")
    picture = page.get_by_role("img", name="Painted")
    box = picture.bounding_box()
    assert box is not None
    x, y = (40.5 / 64 * box["width"], 12.5 / 64 * box["height"])
    page.locator(".pins").click(position={"x": x, "y": y})
    send_back.click()
    expect(page.get_by_role("alert")).to_contain_text("A pin has no text")
    page.get_by_label("Comment at 40, 12").fill("the ER goes on here")
    page.get_by_label("Comment", exact=True).fill("Almost.")
    send_back.click()
    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    # of all tiles it is the one its author gets next
    theirs = author.page
    author.open("This tile")
    whole = theirs.get_by_role("img", name="The whole image, 256 × 256 px")
    expect(whole).to_be_visible()
    until(theirs, lambda: whole.evaluate("image => image.naturalWidth > 0"))
    theirs.get_by_role("button", name="Give the tile back").click()
    theirs.get_by_role("button", name="Give back", exact=True).click()
    expect(theirs.get_by_role("link", name="Overview")).to_be_visible()
    theirs.get_by_role("link", name="Annotate").click()
    author.wait()
    [sent] = live.service.annotations.list(slug)
    assert author.task == sent.task_id
    notice = theirs.get_by_text("Sent back to you: “Almost.” One remark is pinned")
    expect(notice).to_be_visible()
    author.open("This tile")
    remarks = theirs.get_by_role("list", name="Remarks")
    expect(remarks).to_contain_text("the ER goes on here")
    remarks.get_by_role("button", name="Show where").first.click()
    theirs.wait_for_timeout(800)
    remarks.get_by_role("button", name="Done: the ER goes on here").click()
    expect(remarks).not_to_contain_text("the ER goes on here")
    author.press("4")
    author.brush(4)
    author.stroke((40, 12))
    author.submit()
    # the reviewer's page has been waiting for it
    expect(page.get_by_role("img", name="Painted")).to_be_visible()
    said = page.get_by_role("listitem")
    done = said.filter(has_text="the ER goes on here")
    expect(done).to_contain_text("at 40, 12: the ER goes on here (done)")
    expect(said.filter(has_text="Almost.")).not_to_contain_text("(done)")
    expect(said.filter(has_text="revision 2 by")).to_contain_text("of work")
    expect(page.get_by_label("Only the difference")).to_be_disabled()
    page.get_by_label("revision 1", exact=True).check()
    page.get_by_label("Only the difference").check()
    changed = pixels(page.get_by_role("img", name="difference to revision 1"))
    rows, columns = np.nonzero(spread(changed) > 40)
    scale = 64 / len(changed)
    assert (columns.mean() * scale, rows.mean() * scale) == pytest.approx(
        (40, 12), abs=1
    )
    assert len(rows) * scale**2 == pytest.approx(12, rel=0.2)
    expect(page.get_by_role("complementary")).to_contain_text("revision 1 only")
    agreement = page.get_by_role("table")
    expect(agreement.get_by_role("row").filter(has_text="mito")).to_contain_text("1.0")
    er = agreement.get_by_role("row", name=re.compile("^ER"))
    expect(er).to_contain_text("12")  # the pixels of a brush of 4
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    last = max(live.service.annotations.list(slug), key=lambda a: a.revision)
    assert (last.revision, last.state) == (2, "accepted")
    mended = dabs(FIRST, ER, 4, [(40, 12)])
    assert np.array_equal(live.service.annotations.mask(last.id), mended)


def test_a_pin_is_placed_by_keyboard(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Pinned", review=True)
    sent_in(live, browse, slug)
    page = judging(browse, slug, bypass_csp=True)
    page.get_by_role("slider", name="Zoom").fill("8")
    layer = page.get_by_role("application", name="Pins")
    page.get_by_role("group", name="Painted").focus()
    page.keyboard.press("Tab")
    expect(layer).to_be_focused()
    # from the middle, 32 32, to the corner and back into the picture
    for key in ["Shift+ArrowLeft"] * 4 + ["ArrowUp"] * 2 + ["ArrowRight"] * 20:
        page.keyboard.press(key)
    expect(layer).to_contain_text("20 30")
    for _ in range(10):
        page.keyboard.press("ArrowUp")
    expect(layer).to_contain_text("mitochondria, 20 20")
    assert violations(page) == []
    cross = page.locator(".crosshair").bounding_box()
    window = page.get_by_role("group", name="Painted").bounding_box()
    assert cross is not None
    assert window is not None
    other = page.get_by_role("group", name="image")
    at = "each => [each.scrollLeft, each.scrollTop]"
    left, top = page.get_by_role("group", name="Painted").evaluate(at)
    assert min(left, top) > 0
    until(page, lambda: other.evaluate(at) == [left, top])
    assert window["x"] <= cross["x"] <= window["x"] + window["width"]
    assert window["y"] <= cross["y"] <= window["y"] + window["height"]
    page.keyboard.press("Enter")
    text = page.get_by_label("Comment at 20, 20")
    expect(text).to_be_focused()
    page.keyboard.type("not a mitochondrion")
    page.get_by_role("button", name="Send back").click()
    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    [sent] = live.service.annotations.list(slug)
    [said] = live.service.annotations.comments(sent.id)
    assert (said.x, said.y, said.text) == (20, 20, "not a mitochondrion")


def test_a_tile_is_accepted_as_gold(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Golden", review=True)
    sent_in(live, browse, slug)
    page = judging(browse, slug)
    page.get_by_role("button", name="Accept as gold").click()
    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    [sent] = live.service.annotations.list(slug)
    assert sent.state == "accepted"
    [gold] = live.service.projects.gold(slug)
    assert (gold.annotation_id, gold.practice) == (sent.id, False)


def test_a_tile_is_mended_and_accepted(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Mended", review=True)
    sent_in(live, browse, slug)
    page = judging(browse, slug)
    page.get_by_role("button", name="Mend and accept").click()
    page.get_by_role("region", name="The tile").get_by_text("Close").click()
    easel = Easel(page, None)
    tools = page.get_by_role("toolbar")
    expect(tools.get_by_role("button", name="Submit")).to_be_visible()
    expect(tools.get_by_role("button", name="Skip")).to_have_count(0)
    easel.press("4")
    easel.brush(4)
    easel.stroke((50, 50))
    easel.submit()
    expect(page.get_by_role("heading", name="Nothing to review")).to_be_visible()
    last = max(live.service.annotations.list(slug), key=lambda a: a.revision)
    assert (last.state, last.author) == ("accepted", "admin")
    mended = dabs(FIRST, ER, 4, [(50, 50)])
    assert np.array_equal(live.service.annotations.mask(last.id), mended)


def test_a_review_beside_the_prelabel_is_accessible(
    live: Live, browse: Browsing
) -> None:
    slug = rounds(live, "Reviewed", review=True)
    sent_in(live, browse, slug)
    page = judging(browse, slug, bypass_csp=True)
    expect(page.get_by_role("heading", name="pre-label")).to_be_visible()
    page.get_by_label("pre-label", exact=True).check()
    page.get_by_label("Only the difference").check()
    difference = page.get_by_role("img", name="difference to the pre-label")
    assert (spread(pixels(difference)) > 20).mean() > 0.02
    assert violations(page) == []
    page.get_by_role("button", name="Light").click()
    assert violations(page) == []


def test_a_tile_that_was_shown_blank_is_judged_without_a_prelabel(
    live: Live, browse: Browsing
) -> None:
    slug = rounds(live, "Blank", review=True)
    with live.app.state.database.unit_of_work() as session:
        of_it = select(Project.id).where(Project.slug == slug).scalar_subquery()
        session.execute(update(Task).where(Task.project_id == of_it).values(blind=True))
    sent_in(live, browse, slug)
    page = judging(browse, slug)
    expect(page.get_by_text("There is nothing to compare with")).to_be_visible()
    expect(page.get_by_text("pre-label", exact=True)).to_have_count(0)
