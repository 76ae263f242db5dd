"""The page's images in a browser: uploads that survive, and what is said of images."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
import tifffile
from live_fixtures import Live
from page_fixtures import Browsing, invitation
from playwright.sync_api import Page, Request, Route, expect
from pydantic import SecretStr

from backend.domain.states import ImageState
from backend.settings import Settings

PIECE = 8 * 2**20
"""What the page sends at once."""


@pytest.fixture
def settings(database_url: str, valkey_url: str, tmp_path: Path) -> Settings:
    """Settings of a service that takes images of several pieces."""
    return Settings(
        database_url=SecretStr(database_url),
        broker_url=SecretStr(valkey_url),
        data_dir=tmp_path / "data",
    )


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of a bit more than one piece."""
    file = tmp_path / "large.tif"
    noise = np.random.default_rng(6).integers(0, 256, (3000, 3000), np.uint8)
    tifffile.imwrite(file, noise)
    assert PIECE < file.stat().st_size < 2 * PIECE
    return file


def choose(page: Page, *files: Path) -> None:
    """Choose files to upload."""
    page.get_by_label("Drop PNG or TIFF files here").set_input_files(files)


def test_an_upload_survives_a_lost_line_and_a_reload(
    live: Live, browse: Browsing, large: Path
) -> None:
    slug = live.project()
    page = browse()
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"/projects/{slug}/images")
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.method == "PATCH":
            sent.append(request.headers["upload-offset"])

    def cut(route: Route, request: Request) -> None:
        if request.headers.get("upload-offset") == str(PIECE):
            route.abort()
        else:
            route.continue_()

    page.on("request", note)
    page.route("**/api/v1/uploads/*", cut)
    choose(page, large)
    page.get_by_label("Pixel size of all files in nm").fill("4.6")
    page.get_by_label("Split of all files").select_option("validation")
    page.get_by_role("button", name="Upload the file").click()
    expect(page.get_by_text("Trying again")).to_be_visible()
    page.get_by_role("button", name="Pause large.tif").click()
    expect(page.get_by_text("93 % of 9.0 MB, paused")).to_be_visible()
    page.unroute("**/api/v1/uploads/*")
    page.reload()
    unfinished = page.get_by_role("region", name="Unfinished uploads")
    expect(unfinished).to_contain_text("93 % of 9.0 MB")
    assert sent[0] == "0"
    sent.clear()
    choose(page, large)
    page.get_by_role("button", name="Upload the file").click()
    expect(page.get_by_text("arrived", exact=True)).to_be_visible()
    expect(unfinished).not_to_be_visible()
    assert sent == [str(PIECE)]
    with live.working():
        line = page.get_by_role("row").filter(has_text="3000 × 3000 uint8")
        expect(line).to_contain_text("ready")
    expect(line).to_contain_text("4.6 nm")
    picture = line.locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)")
    [image] = live.service.images.list(slug)
    assert image.sha256 == hashlib.sha256(large.read_bytes()).hexdigest()
    assert (image.state, image.split) == (ImageState.READY, "validation")


def test_what_is_said_of_an_image(
    live: Live,
    browse: Browsing,
    grey: Callable[[Path], Path],
    tmp_path: Path,
) -> None:
    slug = live.project()
    good, bad = grey(tmp_path / "good.png"), tmp_path / "bad.png"
    bad.write_bytes(b"no image at all, only some text")
    page = browse()
    page.goto(f"/projects/{slug}/images")
    expect(page.get_by_text("There is no image yet")).to_be_visible()
    choose(page, good, bad)
    page.get_by_role("button", name="Leave out bad.png").click()
    choose(page, bad)
    page.get_by_label("Donor of good.png").fill("donor-07")
    page.get_by_label("Split of good.png").select_option("validation")
    page.get_by_role("button", name="Upload 2 files").click()
    expect(page.get_by_text("arrived", exact=True)).to_have_count(2)
    live.work()
    line = page.get_by_role("row").filter(has_text="good.png")
    expect(line).to_contain_text("80 × 96 uint8")
    expect(line).to_contain_text("donor-07")
    rejected = page.get_by_role("row").filter(has_text="bad.png")
    expect(rejected).to_contain_text("PNG or TIFF")
    # nobody knows the pixel size: it is asked for
    line.get_by_label("Pixel size of good.png in nm, unknown so far").fill("4.6")
    line.get_by_role("button", name="Set").click()
    expect(line).to_contain_text("4.6 nm")
    expect(line).to_contain_text("stated")
    line.get_by_label("Split of good.png").select_option("none")
    expect(line.get_by_label("Split of good.png")).to_have_value("none")
    line.get_by_role("button", name="Edit good.png").click()
    page.get_by_label("Group: block, grid or session").fill("grid 3")
    page.get_by_role("button", name="Save").click()
    expect(line).to_contain_text("grid 3")
    image = next(i for i in live.service.images.list(slug) if i.name == "good.png")
    said = (image.pixel_nm, image.split, image.donor, image.group)
    assert said == (4.6, "none", "donor-07", "grid 3")
    page.get_by_label("Show state").select_option("rejected")
    expect(line).not_to_be_visible()
    page.get_by_role("button", name="Delete bad.png").click()
    page.get_by_role("button", name="Cancel").click()
    expect(rejected).to_be_visible()
    page.get_by_role("button", name="Delete bad.png").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("No image is like that.")).to_be_visible()
    assert [i.name for i in live.service.images.list(slug)] == ["good.png"]


def test_who_may_not_upload_is_not_asked_to(
    live: Live,
    browse: Browsing,
    grey: Callable[[Path], Path],
    tmp_path: Path,
) -> None:
    slug = live.project()
    live.service.images.upload(slug, grey(tmp_path / "a.png"))
    live.work()
    token = invitation(live, slug, "annotator").partition("#join=")[2]
    joined = httpx.post(
        f"{live.url}/api/v1/sessions",
        json={"token": token, "name": "Ann"},
        trust_env=False,
    )
    link = live.service.people.sign_in_link(joined.json()["id"]).link
    page = browse(f"{live.url}/#{link.partition('#')[2]}")
    page.goto(f"/projects/{slug}/images")
    line = page.get_by_role("row").filter(has_text="a.png")
    expect(line).to_contain_text("unknown")
    expect(page.get_by_label("Split of a.png")).to_be_disabled()
    expect(page.get_by_text("Drop PNG")).not_to_be_visible()
    expect(page.get_by_role("button", name="Delete a.png")).not_to_be_visible()
