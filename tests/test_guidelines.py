"""Example pictures of labels, practice tiles and labels that never touch, over REST."""

import io
from pathlib import Path

import numpy as np
import pytest
from api_fixtures import client_with, person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from live_fixtures import Live
from loop_fixtures import ER, MITO
from PIL import Image
from test_cli import Terminal, cisterna
from test_quality import block, gold, served, share
from test_tasks import SIDE, add_image, claimed, mask, submit

from backend.domain.errors import TooLarge, UnsupportedImage
from backend.imaging.pictures import MAX_BYTES, MAX_EDGE, small_picture

__all__ = ["cisterna", "served"]


def picture(
    form: str = "PNG", mode: str = "RGB", size: tuple[int, int] = (40, 30), **about
) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, 200).save(buffer, form, **about)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def label(client: TestClient, project: str, value: int) -> dict:
    labels = client.get(f"projects/{project}").json()["labels"]
    return next(each for each in labels if each["value"] == value)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize(("mode", "kept"), [("L", "L"), ("RGB", "RGB")])
def test_a_small_picture_keeps_its_size_and_kind(form, mode, kept) -> None:
    made = small_picture(picture(form, mode))
    assert (made.width, made.height) == (40, 30)
    image = opened(made.png)
    assert (image.format, image.mode, image.size) == ("PNG", kept, (40, 30))


def test_a_large_picture_is_made_smaller_in_proportion() -> None:
    made = small_picture(picture(size=(2 * MAX_EDGE, MAX_EDGE)))
    assert (made.width, made.height) == (MAX_EDGE, MAX_EDGE // 2)


def test_grey_of_16_bits_is_stretched_and_the_way_up_of_a_camera_followed() -> None:
    wide = np.array([[1000, 1500], [2000, 1000]], np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "PNG")
    shown = np.asarray(opened(small_picture(buffer.getvalue()).png))
    assert shown.tolist() == [[0, 127], [255, 0]]
    turned = Image.Exif()
    turned[0x0112] = 6
    made = small_picture(picture("JPEG", exif=turned))
    assert (made.width, made.height) == (30, 40)


def test_nothing_but_pixels_is_kept() -> None:
    about = Image.Exif()
    about[0x010E] = "name of the donor"
    made = small_picture(picture("JPEG", exif=about))
    assert not opened(made.png).getexif()
    assert opened(made.png).info == {}
    assert b"donor" not in made.png


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        picture("GIF", "L"),
        picture("TIFF"),
        picture()[:-30],
        picture("JPEG")[:200],
        b"\x89PNG\r\n\x1a\n" + bytes(100),
    ],
)
def test_what_is_no_whole_png_or_jpeg_is_refused(data) -> None:
    with pytest.raises(UnsupportedImage, match="PNG or JPEG"):
        small_picture(data)


def test_too_many_bytes_and_too_many_pixels_are_refused() -> None:
    with pytest.raises(TooLarge, match="4 MiB"):
        small_picture(bytes(MAX_BYTES + 1))
    with pytest.raises(TooLarge, match="20000 x 1000 pixels"):
        small_picture(picture(mode="1", size=(20_000, 1000)))


def test_examples_stand_in_the_label_and_are_seen_by_members(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    path = f"projects/{project}/labels/{ER}/examples"
    made = admin.post(
        path,
        params={"caption": "sheets, cut across", "good": False},
        content=picture("JPEG"),
        headers={"Content-Type": "image/jpeg"},
    )
    assert made.status_code == 201, made.text
    example = made.json()
    assert example["caption"] == "sheets, cut across"
    assert (example["good"], example["width"], example["height"]) == (False, 40, 30)
    assert label(admin, project, ER)["examples"] == [example]
    assert label(admin, project, MITO)["examples"] == []
    annotator = person(app, admin, project, "annotator")
    shown = annotator.get(f"examples/{example['id']}/picture")
    assert shown.headers["content-type"] == "image/png"
    assert opened(shown.content).size == (40, 30)
    assert annotator.post(path, content=picture()).status_code == 403
    assert annotator.delete(f"examples/{example['id']}").status_code == 403
    other = admin.post("projects", json={"name": "Other"}).json()["slug"]
    stranger = person(app, admin, other, "manager")
    assert stranger.get(f"examples/{example['id']}/picture").status_code == 404
    assert stranger.delete(f"examples/{example['id']}").status_code == 404
    assert admin.delete(f"examples/{example['id']}").status_code == 204
    assert label(admin, project, ER)["examples"] == []


def test_examples_have_limits_that_are_said(admin: TestClient, project: str) -> None:
    path = f"projects/{project}/labels/{ER}/examples"
    assert admin.post(path, content=b"no picture").status_code == 422
    for _ in range(8):
        assert admin.post(path, content=picture()).status_code == 201
    full = admin.post(path, content=picture())
    assert full.status_code == 409
    assert "at most 8" in full.json()["detail"]
    none = admin.post(f"projects/{project}/labels/99/examples", content=picture())
    assert none.status_code == 422
    large = admin.post(path, content=bytes(MAX_BYTES + 1))
    assert large.status_code == 413


def test_practice_is_scored_at_once_and_leaves_nothing(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    truth = block(ER, slice(0, 10), slice(0, 10))
    task, row = gold(app, admin, served, truth)
    who = person(app, admin, served, "annotator")
    path = f"annotations/{row['id']}/practice"
    # a tile that measures people is none to practise on
    assert who.post(path, content=bytes(SIDE * SIDE)).status_code == 404
    assert who.get(f"projects/{served}/practice").json()["items"] == []
    again = admin.put(f"annotations/{row['id']}/gold", params={"practice": True})
    assert again.json()["practice"] is True
    (offered,) = who.get(f"projects/{served}/practice").json()["items"]
    assert offered["annotation_id"] == row["id"]
    assert offered["tile"]["id"] == task["tile"]["id"]
    before = admin.get(f"projects/{served}/annotations").json()
    answer = block(ER, slice(0, 10), slice(5, 15))
    scored = who.post(path, content=answer.tobytes())
    assert scored.status_code == 200, scored.text
    body = scored.json()
    er = next(each for each in body["scores"] if each["label"] == "ER")
    assert er == {"label": "ER", "dice": 0.5, "missed": 50, "invented": 50}
    nucleus = next(each for each in body["scores"] if each["label"] == "nucleus")
    assert nucleus["dice"] is None
    assert [hint["label"] for hint in body["hints"]] == ["ER"]
    assert body["annotation_id"] == row["id"]
    assert admin.get(f"projects/{served}/annotations").json() == before
    assert who.post(path, content=bytes(3)).status_code == 422
    # nobody gets it unseen, nor later
    refused = admin.put(f"annotations/{row['id']}/gold")
    assert refused.status_code == 409
    assert "practise on this tile" in refused.json()["detail"]
    share(admin, served, gold_share=1)
    assert claimed(who, served)[0]["tile"]["id"] != task["tile"]["id"]


def test_feedback_has_every_label_and_is_the_owner_s_to_allow(
    app: FastAPI, admin: TestClient, served: str
) -> None:
    truth = block(ER, slice(0, 10), slice(0, 10))
    _, row = gold(app, admin, served, truth)
    share(admin, served, gold_share=1)
    who = person(app, admin, served, "annotator")
    task = claimed(who, served)[0]
    submit(who, task, truth)
    path = f"tasks/{task['id']}/feedback"
    told = who.get(path).json()
    assert (told["hints"], told["annotation_id"]) == ([], row["id"])
    dice = {score["label"]: score["dice"] for score in told["scores"]}
    assert (dice["ER"], dice["nucleus"], len(dice)) == (1, None, 5)
    share(admin, served, gold_feedback=False)
    hushed = who.get(path).json()
    assert hushed == {"hints": [], "scores": [], "annotation_id": None}
    assert admin.get(path).json() == told


def test_labels_that_never_touch_are_pairs_of_the_project_s_own(
    admin: TestClient, project: str
) -> None:
    def told(pairs: list[list[int]]):
        tag = admin.get(f"projects/{project}").headers["etag"]
        body = {"never_touch": pairs}
        return admin.patch(f"projects/{project}", json=body, headers={"If-Match": tag})

    assert admin.get(f"projects/{project}").json()["never_touch"] == []
    assert told([[4, 1], [1, 4], [2, 3]]).json()["never_touch"] == [[1, 4], [2, 3]]
    for wrong in ([[1, 1]], [[1, 99]]):
        refused = told(wrong)
        assert refused.status_code == 422
        assert "two labels" in refused.json()["detail"]
    assert told([]).json()["never_touch"] == []


def test_guidelines_and_practice_by_command_line(
    cisterna: Terminal, live: Live, tmp_path: Path
) -> None:
    slug = live.project()
    file = tmp_path / "er.png"
    file.write_bytes(picture())
    made = cisterna.json(
        "project", "add-example", slug, "ER", str(file), "--caption", "a sheet"
    )
    assert made["caption"] == "a sheet"
    labels = cisterna.json("project", "show", slug)["labels"]
    assert [made] in [each["examples"] for each in labels]
    assert cisterna("project", "remove-example", made["id"])[0] == 0
    edited = cisterna.json("project", "edit", slug, "--never-touch", "ER,nucleus")
    assert edited["never_touch"] == [[1, 4]]
    assert cisterna("project", "edit", slug, "--never-touch", "ER")[0] != 0
    assert (
        cisterna.json("project", "edit", slug, "--never-touch", "")["never_touch"] == []
    )
    edited = cisterna.json("project", "edit", slug, "--no-gold-feedback")
    assert edited["gold_feedback"] is False


def test_practice_by_command_line(cisterna: Terminal, live: Live, tmp_path) -> None:
    slug = live.project()
    add_image(live.app, slug)
    task = cisterna.json("task", "claim", slug)["tasks"][0]
    row = submit(client_with(live.app, live.token), task, mask(ER)).json()
    cisterna.json("task", "make-gold", row["id"], "--practice")
    (offered,) = cisterna.json("project", "practice", slug)
    assert offered["annotation_id"] == row["id"]
    file = tmp_path / "mine.png"
    Image.fromarray(mask(ER)).save(file)
    scores = cisterna.json("task", "practise", row["id"], str(file))
    assert {each["label"]: each["dice"] for each in scores}["ER"] == 1
