"""Label images as annotations: value maps, regions, passes that add up."""

import uuid
from typing import Any

import numpy as np
import pytest
from api_fixtures import database_of, person
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import undefer
from test_images import RAW, grey, png, ready, tiff

from backend.domain.errors import Invalid
from backend.domain.labels import LIVER
from backend.domain.masks import unpack
from backend.domain.states import TaskState
from backend.models import Annotation, AuditEntry, Task, Tile
from backend.services.imports import added, labels_named, value_map


def send(client: TestClient, image: str, data: bytes, **query: Any) -> Response:
    return client.post(
        f"images/{image}/labels", params=query, content=data, headers=RAW
    )


def labels(height: int = 100, width: int = 150) -> np.ndarray:
    raster = np.zeros((height, width), np.uint8)
    raster[10:40, 10:90] = 2
    raster[60:80, 100:140] = 4
    return raster


def whole(app: FastAPI, image: str, column: str = "raster") -> np.ndarray:
    """The newest revision of every tile put together; 254 where there is none."""
    with database_of(app).unit_of_work() as session:
        rows = session.execute(
            select(Annotation, Tile)
            .join(Tile, Tile.id == Annotation.tile_id)
            .where(Tile.image_id == uuid.UUID(image))
            .order_by(Annotation.revision)
            .options(undefer(Annotation.raster))
        ).all()
        full = np.full((100, 150), 254, np.uint8)
        for annotation, tile in rows:
            assert annotation.imported
            assert annotation.accepted_at is not None
            assert annotation.raster is not None
            full[tile.box.slices] = unpack(annotation.raster, (tile.h, tile.w))
        return full


def test_a_whole_label_image(app: FastAPI, admin: TestClient, project: str) -> None:
    image = ready(app, admin, project, grey())["id"]
    answer = send(admin, image, png(labels()))
    assert answer.status_code == 201, answer.text
    assert len(answer.json()["annotations"]) == 6
    assert answer.json()["complete_for"] == [1, 2, 3, 4, 5]
    assert answer.json()["pixels"]["2"] == 2400
    assert np.array_equal(whole(app, image), labels())
    with database_of(app).unit_of_work() as session:
        # nobody is asked for a tile that is annotated
        open_tasks = select(func.count()).where(Task.state == TaskState.OPEN)
        assert session.scalar(open_tasks) == 0


def test_passes_add_up(app: FastAPI, admin: TestClient, project: str) -> None:
    image = ready(app, admin, project, grey())["id"]
    first = np.where(labels() == 2, 7, 0).astype(np.uint8)
    second = np.where(labels() == 4, 9, 0).astype(np.uint8)
    one = send(admin, image, png(first), value_map="7=mitochondria")
    assert one.json()["complete_for"] == [2]
    two = send(admin, image, tiff(second), value_map='{"9": "ER"}')
    assert two.json()["complete_for"] == [4]
    assert np.array_equal(whole(app, image), labels())
    with database_of(app).unit_of_work() as session:
        revisions = session.scalars(select(Annotation)).all()
        assert len(revisions) == 12
        assert {tuple(r.complete_for) for r in revisions if r.revision == 2} == {(2, 4)}


def test_a_region_leaves_the_rest_unknown(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    image = ready(app, admin, project, grey())["id"]
    answer = send(admin, image, png(np.full((30, 70), 4, np.uint8)), y=50, x=40)
    assert answer.status_code == 201, answer.text
    expected = np.full((100, 150), 255, np.uint8)
    expected[50:80, 40:110] = 4
    expected[:, 128:] = 254  # tiles the region does not touch stay without annotation
    assert np.array_equal(whole(app, image), expected)


@pytest.mark.parametrize(
    ("data", "query", "pointer", "words"),
    [
        (lambda: png(labels()), {"value_map": "2=mitochondria"}, "/value_map", "of 4"),
        (lambda: png(labels()), {"value_map": "2=golgi"}, "/value_map", "'golgi'"),
        (lambda: png(labels()), {"value_map": "2"}, "/value_map", "2=mitochondria"),
        (lambda: png(labels()), {"value_map": "{2:"}, "/value_map", "JSON"),
        (lambda: png(labels()), {"value_map": "[1]"}, "/value_map", "2=mito"),
        (lambda: png(labels()), {"value_map": "999=ER"}, "/value_map", "0 to 255"),
        (lambda: png(labels()), {"complete_for": "golgi"}, "/complete_for", "golgi"),
        (lambda: png(labels(101, 150)), {}, "/file", "100 x 150"),
        (lambda: png(labels()), {"y": 1}, "/file", "row 101"),
        (lambda: b"no image", {}, "/file", "PNG"),
        (lambda: png(labels())[:-40], {}, "/file", ""),
        (lambda: tiff(labels().astype(np.float32)), {}, "/file", "floating"),
        (lambda: tiff(labels().astype(np.uint16) * 100), {}, "/file", "400"),
        (lambda: b"", {}, "/file", ""),
    ],
)
def test_bad_label_images_store_nothing(
    app: FastAPI,
    admin: TestClient,
    project: str,
    data: Any,
    query: dict[str, Any],
    pointer: str,
    words: str,
) -> None:
    image = ready(app, admin, project, grey())["id"]
    answer = send(admin, image, data(), **query)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert words in answer.json()["detail"]
    with database_of(app).unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Annotation)) == 0


def test_managers_import_and_a_retry_imports_once(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    image = ready(app, admin, project, grey())["id"]
    annotator = person(app, admin, project, "annotator")
    assert send(annotator, image, png(labels())).status_code == 403
    headers = {**RAW, "Idempotency-Key": "import-1"}
    path = f"images/{image}/labels"
    first = admin.post(path, content=png(labels()), headers=headers)
    again = admin.post(path, content=png(labels()), headers=headers)
    assert first.status_code == again.status_code == 201
    assert again.json() == first.json()
    other = admin.post(path, content=png(labels() * 0), headers=headers)
    assert other.status_code == 422
    with database_of(app).unit_of_work() as session:
        assert session.scalar(select(func.count()).select_from(Annotation)) == 6


def test_value_maps() -> None:
    assert value_map("2=mitochondria, 5=cell boundary", LIVER) == {
        0: 0,
        2: 2,
        5: 5,
        255: 255,
    }
    assert value_map('{"0": "unknown", "7": 4}', LIVER) == {0: 255, 7: 4, 255: 255}
    assert value_map(None, LIVER)[3] == 3
    for wrong in ("2=", "=ER", "-1=ER", "2=6", "²=ER", "{}x"):
        with pytest.raises(Invalid):
            value_map(wrong, LIVER)
    assert labels_named("all", LIVER) == (1, 2, 3, 4, 5)
    assert labels_named("ER, 2", LIVER) == (2, 4)
    assert labels_named("", LIVER) == ()
    assert labels_named(None, LIVER) is None


def test_the_same_again_adds_no_revision(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    image = ready(app, admin, project, grey())["id"]
    first = send(admin, image, png(labels()), complete_for="mitochondria")
    assert first.status_code == 201
    assert first.json()["unchanged"] == 0
    again = send(admin, image, png(labels()), complete_for="mitochondria")
    assert again.status_code == 200, again.text
    assert again.json() == first.json() | {"unchanged": 6}
    assert counts(app) == (6, 1)
    # it says no more than the tiles do
    part = send(
        admin, image, png(labels()[:64, :64]), complete_for="mitochondria", y=0, x=0
    )
    assert part.status_code == 200
    assert part.json()["unchanged"] == 1
    assert part.json()["annotations"][0] in first.json()["annotations"]
    assert counts(app) == (6, 1)


def test_only_tiles_that_change_get_a_revision(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    image = ready(app, admin, project, grey())["id"]
    first = send(admin, image, png(labels()), complete_for="all").json()
    painted = labels()
    painted[0, 0] = 4
    second = send(admin, image, png(painted), complete_for="all")
    assert second.status_code == 201, second.text
    assert second.json()["unchanged"] == 5
    assert len({*second.json()["annotations"]} - {*first["annotations"]}) == 1
    assert np.array_equal(whole(app, image), painted)
    assert counts(app) == (7, 2)


def test_the_same_pixels_complete_for_more_are_a_revision(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    image = ready(app, admin, project, grey())["id"]
    send(admin, image, png(labels()), complete_for="mitochondria")
    more = send(admin, image, png(labels()), complete_for="all")
    assert more.status_code == 201
    assert more.json()["unchanged"] == 0
    # fewer labels than the tiles are complete for bring nothing
    fewer = send(admin, image, png(labels()), complete_for="ER")
    assert fewer.status_code == 200, fewer.text
    assert counts(app) == (12, 2)


def test_after_a_retraction_the_same_is_news(
    app: FastAPI, admin: TestClient, project: str
) -> None:
    image = ready(app, admin, project, grey())["id"]
    first = send(admin, image, png(labels())).json()["annotations"]
    assert admin.post(f"annotations/{first[0]}/retract").status_code == 200
    again = send(admin, image, png(labels()))
    assert again.status_code == 201
    assert again.json()["unchanged"] == 5
    assert set(again.json()["annotations"]) > set(first[1:])
    assert counts(app)[0] == 7


def counts(app: FastAPI) -> tuple[int, int]:
    """How many annotations there are, and entries about imports."""
    imported = AuditEntry.action == "import"
    with database_of(app).unit_of_work() as session:
        return (
            session.scalar(select(func.count()).select_from(Annotation)) or 0,
            session.scalar(select(func.count()).where(imported)) or 0,
        )


VALUES = (1, 2, 3)


def allowed(value: int, complete: set[int]) -> set[int]:
    """What a pixel may be, 0 being background."""
    if value == 255:
        return {0, *VALUES}
    return {value} if value else {0, *VALUES} - complete


@given(
    before=st.sampled_from([0, 255, *VALUES]),
    news=st.sampled_from([0, 255, *VALUES]),
    first=st.sets(st.sampled_from(VALUES)),
    second=st.sets(st.sampled_from(VALUES)),
)
def test_adding_up_never_claims_more_than_the_passes_did(
    before: int, news: int, first: set[int], second: set[int]
) -> None:
    def pixel(value: int) -> np.ndarray:
        return np.full((1, 1), value, np.uint8)

    result = int(added(pixel(before), first, pixel(news), second)[0, 0])
    truth = allowed(result, first | second)
    both = allowed(before, first) & allowed(news, second)
    if both:
        # nothing that both passes allow is ruled out; a contradiction is the news'
        assert both <= truth
    elif news != 0:
        assert result == news


@given(
    before=st.sampled_from([0, 255, *VALUES]),
    news=st.sampled_from([0, 255, *VALUES]),
    first=st.sets(st.sampled_from(VALUES)),
    second=st.sets(st.sampled_from(VALUES)),
)
def test_adding_the_same_twice_is_adding_it_once(
    before: int, news: int, first: set[int], second: set[int]
) -> None:
    def pixel(value: int) -> np.ndarray:
        return np.full((1, 1), value, np.uint8)

    once = added(pixel(before), first, pixel(news), second)
    assert np.array_equal(added(once, first | second, pixel(news), second), once)
