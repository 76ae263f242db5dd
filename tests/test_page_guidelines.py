"""Guidelines with pictures, practice, checks and slips in the page."""

import uuid
from pathlib import Path

import numpy as np
import pytest
from api_fixtures import client_with, person
from easel import Easel, dabs, until
from live_fixtures import Live
from loop_fixtures import ER, MITO
from page_fixtures import (
    Browsing,
    invitation,
    painting_project,
    pixels,
    sign_in_link,
    violations,
)
from PIL import Image as Picture
from playwright.sync_api import Page, expect
from test_tasks import SIDE, claimed, submit

from backend.schemas.project import ProjectEdit

NUCLEUS = 1
EMPTY = np.zeros((SIDE, SIDE), np.uint8)
DOT = [(30, 30)]


@pytest.fixture
def live(served: Live) -> Live:
    """The service of all tests of this file."""
    return served


def golden(live: Live, slug: str, *, practice: bool = False) -> uuid.UUID:
    """Have somebody paint a dot of ER and take it for the truth; the annotation."""
    admin = client_with(live.app, live.token)
    expert = person(live.app, admin, slug, "reviewer")
    task = claimed(expert, slug)[0]
    row = submit(expert, task, dabs(EMPTY, ER, 16, DOT)).json()
    id = uuid.UUID(row["id"])
    live.service.annotations.make_gold(id, practice)
    return id


def scores(page: Page, name: str) -> str:
    line = page.get_by_role("dialog").get_by_role("row").filter(has_text=name)
    return " ".join(line.inner_text().split())


def test_labels_are_edited_and_shown_with_pictures(
    live: Live, browse: Browsing, tmp_path: Path
) -> None:
    slug = painting_project(live, "Guidelines")
    page = browse(bypass_csp=True)
    page.goto(f"/projects/{slug}/labels")
    card = page.get_by_role("region", name="nucleus")
    card.get_by_label("Colour").fill("#123456")
    card.get_by_label("Guideline").fill("The envelope belongs to it.")
    card.get_by_label("Target recall").fill("0.8")
    card.get_by_label("Least precision").fill("0.7")
    card.get_by_role("button", name="Save nucleus").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    file = tmp_path / "good.png"
    Picture.new("RGB", (60, 40), "#c04040").save(file)
    card.get_by_label("Picture of nucleus").set_input_files(file)
    card.get_by_label("Caption").fill("two nucleoli")
    card.get_by_role("button", name="Add picture").click()
    expect(card.get_by_role("figure")).to_contain_text("Like this: two nucleoli")
    assert violations(page) == []
    label = live.service.projects.get(slug).labels[0]
    assert (label.colour, label.guideline) == ("#123456", "The envelope belongs to it.")
    assert (label.target_recall, label.precision_floor) == (0.8, 0.7)

    painter = browse(invitation(live, slug, "annotator"), name="Ada", bypass_csp=True)
    easel = Easel(painter, slug)
    easel.open("Guideline")
    easel.press("1")
    panel = painter.locator("details", has_text="The envelope belongs to it.")
    expect(panel).to_contain_text("Like this: two nucleoli")
    picture = panel.get_by_role("img", name="Example of nucleus")
    assert picture.evaluate("image => image.decode().then(() => true)")
    assert np.median(pixels(picture), axis=(0, 1)).tolist() == [0xC0, 0x40, 0x40]
    assert violations(painter) == []

    painter.goto(f"/projects/{slug}/labels")
    expect(painter.get_by_text("two nucleoli")).to_be_visible()
    expect(painter.get_by_role("button", name="Save nucleus")).to_have_count(0)
    card.get_by_role("button", name="Remove the picture two nucleoli").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(card.get_by_role("figure")).to_have_count(0)
    assert live.service.projects.get(slug).labels[0].examples == []


def test_practice_is_scored_at_once_and_nothing_is_kept(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Practice")
    page = browse(bypass_csp=True)
    page.goto(f"/projects/{slug}/practice")
    expect(page.get_by_text("There is no tile to practise on yet")).to_be_visible()
    truth = golden(live, slug, practice=True)
    before = [row.id for row in live.service.annotations.list(slug)]
    done = "localStorage.setItem('cisterna.toured', '{\"done\": true}')"
    page.add_init_script(done)
    page.reload()
    stage = page.get_by_role("application")
    expect(stage).to_be_visible()
    expect(page.locator(".chip")).to_have_text("Practice, not kept")
    page.keyboard.press("Control+Enter")
    dialog = page.get_by_role("dialog", name="How it compares")
    expect(dialog).to_be_visible()
    painted = int((dabs(EMPTY, ER, 16, DOT) == ER).sum())
    assert scores(page, "ER") == f"ER 0.000 {painted} 0"
    assert scores(page, "nucleus") == "nucleus – 0 0"
    picture = pixels(dialog.get_by_role("img", name="Where they differ"))
    red = (picture[..., 0] > 200) & (picture[..., 2] < 150)
    assert abs(red.mean() - painted / EMPTY.size) < 0.01
    assert violations(page) == []
    dialog.get_by_role("button", name="Back to the tile").click()
    # what was painted is still there, and may be scored again
    page.keyboard.press("4")
    page.keyboard.press("f")
    box = stage.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.keyboard.press("Control+Enter")
    expect(dialog).to_contain_text(str(EMPTY.size - painted))
    assert [row.id for row in live.service.annotations.list(slug)] == before
    assert truth in before


def test_a_check_says_how_it_went_if_the_owner_allows(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Feedback")
    golden(live, slug)
    service = live.service
    service.projects.edit(service.projects.get(slug), ProjectEdit(gold_share=1))
    page = browse(invitation(live, slug, "annotator"), name="Eve")
    easel = Easel(page, slug)
    easel.press("4")
    easel.brush(16)
    easel.stroke(*DOT)
    easel.submit()
    dialog = page.get_by_role("dialog", name="The tile you sent was a check")
    expect(dialog).to_contain_text("Nothing is missing")
    assert scores(page, "ER") == "ER 1.000 0 0"
    dialog.get_by_role("button", name="Back to the tile").click()
    # the next one is no check, and nothing is said
    easel.wait()
    easel.submit()
    expect(dialog).to_have_count(0)

    edited = ProjectEdit(gold_feedback=False)
    service.projects.edit(service.projects.get(slug), edited)
    page = browse(invitation(live, slug, "annotator"), name="Sam")
    easel = Easel(page, slug)
    easel.submit()
    page.wait_for_timeout(500)
    expect(dialog).to_have_count(0)


def test_reviewers_see_agreement_and_take_gold_away(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Gold")
    golden(live, slug)
    page = browse(invitation(live, slug, "reviewer"), name="Ron", bypass_csp=True)
    page.goto(f"/projects/{slug}/quality")
    expect(page.get_by_role("region", name="Agreement")).to_contain_text("1 so far")
    expect(page.get_by_role("link", name="People")).to_have_count(0)
    expect(page.get_by_role("button", name="Save shares")).to_have_count(0)
    part = page.get_by_role("region", name="Gold tiles")
    picture = part.get_by_role("img")
    assert picture.evaluate("image => image.decode().then(() => true)")
    assert violations(page) == []
    part.get_by_role("button", name="Make it for practice").click()
    page.get_by_role("dialog").get_by_role("button", name="Make it").click()
    until(page, lambda: len(list(live.service.projects.practice(slug))) == 1)
    part.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(part).to_contain_text("None yet")
    assert list(live.service.projects.gold(slug)) == []


def test_labels_that_should_not_touch_are_pointed_at(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Neighbours")
    page = browse(sign_in_link(live))
    page.goto(f"/projects/{slug}/labels")
    part = page.get_by_role("region", name="Labels that never touch")
    part.get_by_label("One label").select_option("ER")
    part.get_by_label("The other label").select_option("nucleus")
    part.get_by_role("button", name="Add pair").click()
    expect(part).to_contain_text("nucleus and ER")
    easel = Easel(page, slug)
    easel.brush(4)
    easel.press("1")
    easel.stroke((20, 20))
    easel.press("4")
    easel.stroke((24, 20))
    easel.press("Control+Enter")
    dialog = page.get_by_role("dialog", name="Before the tile is sent")
    said = "nucleus touches ER in one place; they should not."
    expect(dialog).to_contain_text(said)
    before = pixels(easel.stage)
    dialog.get_by_role("button", name=f"Show: {said}").click()
    expect(dialog).to_have_count(0)
    page.wait_for_timeout(300)
    assert (pixels(easel.stage) != before).any()


def test_sixteen_bits_are_windowed_by_their_histogram(
    live: Live, browse: Browsing, tmp_path: Path
) -> None:
    slug = painting_project(live, "Sixteen", images=0)
    ramp = np.linspace(10_000, 12_000, SIDE).astype(np.uint16)
    wide = np.repeat(ramp[None], SIDE, axis=0)
    file = tmp_path / "wide.png"
    Picture.fromarray(wide).save(file)
    image = live.service.images.upload(slug, file, pixel_nm=4.0)
    live.work()
    assert live.service.images.get(image.id).dtype == "uint16"
    page = browse()
    easel = Easel(page, slug)
    # the middle of the ramp, not the middle of 16 bits, is grey
    automatic = pixels(easel.stage)
    page.mouse.move(*easel.at((32, 32)))
    expect(page.locator(".readout")).to_contain_text(f"grey {ramp[32]}")
    easel.open("Image")
    low, high = page.get_by_label("Black at"), page.get_by_label("White at")
    assert (low.get_attribute("min"), low.get_attribute("max")) == ("10000", "12000")
    bars = page.locator("svg.histogram")
    box = bars.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.02, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, y, steps=4)
    page.mouse.up()
    until(page, lambda: abs(float(low.input_value()) - 11_000) < 60)
    assert float(high.input_value()) > 11_900

    def left() -> float:
        return float(pixels(easel.stage)[:, :, 0].mean())

    until(page, lambda: left() < automatic[:, :, 0].mean() - 20)
    low.fill("10000")
    high.fill("10500")
    until(page, lambda: left() > automatic[:, :, 0].mean() + 20)
    # looks change no labels and no greys
    page.mouse.move(*easel.at((32, 32)))
    expect(page.locator(".readout")).to_contain_text(f"grey {ramp[32]}")
    page.get_by_role("button", name="Window from the image").click()
    assert float(low.input_value()) < 10_100


def test_scribbles_grow_to_the_border_they_are_parted_by(
    live: Live, browse: Browsing, tmp_path: Path
) -> None:
    slug = painting_project(live, "Scribbles", images=0)
    grey = np.full((SIDE, SIDE), 200, np.uint8)
    grey[:, :28] = 60
    file = tmp_path / "halves.png"
    Picture.fromarray(grey).save(file)
    live.service.images.upload(slug, file, pixel_nm=4.0)
    live.work()
    page = browse()
    easel = Easel(page, slug)
    easel.press("2", "a")
    easel.stroke((10, 10), (10, 50))
    easel.press("4")
    easel.stroke((50, 10), (50, 50))
    expect(page.locator(".hint")).to_contain_text("Scribble with")
    page.wait_for_timeout(1500)
    easel.press("Enter")

    def grown() -> bool:
        found = live.service.tasks.draft(easel.task)
        if found is None or not found.any():
            return False
        # the border is as sharp as the image's, to a pixel
        assert (found[:, :27] == MITO).all()
        assert (found[:, 29:] == ER).all()
        return True

    until(page, grown)
    easel.press("Control+z")
    until(page, lambda: not live.service.tasks.draft(easel.task).any())
