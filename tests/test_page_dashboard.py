"""The dashboard in a browser: what every tab shows, and what people do there."""

import datetime as dt
import zipfile
from functools import partial
from itertools import islice
from pathlib import Path

import httpx
import numpy as np
import pytest
from api_fixtures import client_with, person
from live_fixtures import Live
from loop_fixtures import ER, project_id
from numpy.typing import NDArray
from page_fixtures import (
    Browsing,
    invitation,
    painting_project,
    pixels,
    rounds,
    violations,
)
from playwright.sync_api import Page, Response, expect
from sqlalchemy import delete, select
from test_tasks import SIDE, claimed, submit

from backend.client import Cisterna
from backend.domain.states import JobKind, JobState, Lane, ModelState, Split
from backend.models import Image, Job, Prediction
from backend.schemas.project import ProjectEdit
from backend.services import jobs
from backend.services.access import now

TABS = (
    "overview",
    "images",
    "tiles",
    "queue",
    "training",
    "models",
    "policies",
    "labels",
    "quality",
    "people",
)


@pytest.fixture
def live(served: Live) -> Live:
    """The service of all tests of this file."""
    return served


@pytest.fixture(scope="module")
def learnt(served: Live) -> str:
    """A project of two rounds, as people find it in the morning."""
    return rounds(served, "Mouse liver", 2)


def job_row(live: Live, slug: str, state: JobState, **about: object) -> Job:
    """A training in a state that would take long to reach."""
    database = live.app.state.database
    lease = now() + dt.timedelta(hours=1) if state is JobState.RUNNING else None
    with database.unit_of_work() as session:
        row = Job(
            project_id=project_id(database, slug),
            kind=JobKind.TRAIN,
            lane=Lane.GPU,
            state=state,
            lease_until=lease,
            started_at=now(),
            **about,
        )
        session.add(row)
    return row


def test_a_link_invites_once(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "By invitation")
    link = invitation(live, slug, "annotator")
    page = browse(link, name="Ann")
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading"))
    expect(card).to_have_count(1)
    expect(card.get_by_role("link", name="Annotate")).to_be_visible()
    expect(card.get_by_role("link", name="Review")).not_to_be_visible()
    assert "join" not in page.url
    assert page.context.cookies()[0]["httpOnly"]
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("One-time sign-in link")).to_be_visible()
    page.get_by_label("One-time sign-in link").fill(link)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("link")
    assert page.context.cookies() == []


def test_a_new_project(live: Live, browse: Browsing) -> None:
    page = browse()
    page.get_by_role("button", name="New project").click()
    page.get_by_label("Name").fill("Rat kidney")
    page.get_by_label("Tile edge, pixels").fill("256")
    page.get_by_label("A second person reviews every tile").check()
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", name="Rat kidney")).to_be_visible()
    assert page.url.endswith("/projects/rat-kidney/images")
    made = live.service.projects.get("rat-kidney")
    assert (made.tile_size, made.review, len(made.labels)) == (256, True, 5)
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_text("Nothing is measured on test tiles yet")).to_be_visible()
    # an empty queue says why
    expect(page.locator(".banner")).to_contain_text("image")


def test_every_room_obeys_its_policy_and_is_accessible(
    live: Live, browse: Browsing, learnt: str
) -> None:
    answer = httpx.get(live.url, headers={"Accept": "text/html"}, trust_env=False)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page, checked = browse(), browse(bypass_csp=True)
    for theme in ("dark", "light"):
        expect(checked.locator("html")).to_have_attribute("data-theme", theme)
        for room in ("", "settings", *(f"projects/{learnt}/{tab}" for tab in TABS)):
            checked.goto(f"/{room}")
            settle(checked)
            assert violations(checked) == [], f"{room} in {theme}"
        checked.get_by_role("button", name="Light").or_(
            checked.get_by_role("button", name="Dark")
        ).click()
    for tab in TABS:
        page.goto(f"/projects/{learnt}/{tab}")
        settle(page)


def settle(page: Page) -> None:
    """Wait until a room shows what it has to show."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("Loading")).to_have_count(0)
    page.wait_for_load_state("load")


def test_the_overview_tells_the_learning_curve(
    live: Live, browse: Browsing, learnt: str
) -> None:
    page = browse()
    page.goto(f"/projects/{learnt}")
    now_ = page.get_by_role("region", name="Now")
    expect(now_).to_contain_text("round that serves2")
    expect(now_).to_contain_text("annotated tiles6")
    metrics = live.service.models.metrics(learnt)
    [first, second] = metrics.rounds
    chart = page.get_by_role("img", name="dice of each organelle on test tiles")
    assert drawn(page, chart_name="dice of each organelle on test tiles")
    table = page.get_by_role("table")
    line = table.get_by_role("row").nth(1)
    expect(line).to_contain_text(f"{second.quality['test']['ER'].dice:.3f}")
    expect(line).to_contain_text("live")
    expect(table.get_by_role("row").nth(2)).to_contain_text("retired")
    page.get_by_text("validation", exact=True).click()
    page.get_by_text("recall", exact=True).click()
    page.get_by_text("hours of work").click()
    expect(chart).not_to_be_visible()
    assert drawn(page, chart_name="recall of each organelle on validation tiles")
    recall = first.quality["validation"]["mitochondria"].recall
    expect(table.get_by_role("row").nth(2)).to_contain_text(f"{recall:.3f}")


def drawn(page: Page, chart_name: str) -> bool:
    """Whether a chart has lines of colour, not only axes."""
    chart = page.get_by_role("img", name=chart_name)
    expect(chart).to_be_visible()
    return bool((colour(pixels(chart)) > 60).any())


def test_the_queue_says_why_these_tiles(
    live: Live, browse: Browsing, learnt: str
) -> None:
    page = browse()
    page.goto(f"/projects/{learnt}/queue")
    why = page.get_by_role("region", name="Why these tiles")
    [query] = [q for q in live.service.queries.list(learnt) if q.state == "live"]
    for ranked in islice(live.service.queries.ranks(query.id), 3):
        line = why.get_by_role("row").nth(ranked.rank)
        expect(line).to_contain_text(str(ranked.reason))
        picture = line.get_by_role("img")
        assert picture.evaluate("image => image.decode().then(() => true)")
        assert pixels(picture).std() > 10
    expect(page.get_by_role("img", name="Histogram of scores").first).to_be_visible()
    expect(why.get_by_role("row")).to_have_count(11)
    why.get_by_role("button", name="More").click()
    expect(why.get_by_role("row")).to_have_count(21)


def test_a_finished_tile_is_looked_at_made_gold_and_reopened(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Finished")
    ann = person(live.app, client_with(live.app, live.token), slug, "annotator")
    task = claimed(ann, slug)[0]
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[8:40, 8:40] = ER
    sent = submit(ann, task, mask).json()
    page = browse(bypass_csp=True)
    page.goto(f"/projects/{slug}/tiles")
    room = page.get_by_role("region", name="Tiles")
    expect(room.get_by_role("listitem")).to_have_count(16)
    room.get_by_label("Show state").select_option("annotated")
    expect(room.get_by_role("listitem")).to_have_count(1)
    room.get_by_role("listitem").get_by_role("button").press("Enter")
    tile = page.get_by_role("dialog")
    picture = tile.get_by_role("img", name="Revision 1 of tile")
    expect(picture).to_be_visible()
    assert 0.1 < (colour(pixels(picture)) > 20).mean() < 0.5
    expect(tile.get_by_label("History")).to_contain_text("accepted")
    assert violations(page) == []
    tile.get_by_role("button", name="Make gold").click()
    sure = page.get_by_role("dialog", name="Make it gold?")
    sure.get_by_role("button", name="Make gold").click()
    expect(page.get_by_text("Done.")).to_be_visible()
    (gold,) = live.service.projects.gold(slug)
    assert (str(gold.annotation_id), gold.practice) == (sent["id"], False)
    # the address leads to the tile, whoever holds it
    page.reload()
    tile.get_by_role("button", name="Reopen").click()
    sure = page.get_by_role("dialog", name="Reopen the tile?")
    sure.get_by_role("button", name="Reopen").click()
    expect(tile).to_contain_text("sent back")
    expect(tile.get_by_role("button", name="Reopen")).to_have_count(0)
    assert claimed(ann, slug)[0]["id"] == task["id"]
    page.keyboard.press("Escape")
    expect(tile).not_to_be_visible()
    expect(room.get_by_text("No tile is like that")).to_be_visible()


def test_managers_choose_the_strategy_and_its_numbers(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Choosing")
    page = browse(bypass_csp=True)
    page.goto(f"/projects/{slug}/queue")
    part = page.get_by_role("region", name="How tiles are chosen")
    strategy = part.get_by_role("combobox")
    strategy.select_option("er-gap")
    part.get_by_text("Parameters").click()
    part.get_by_label("controls").fill("0.7")
    part.get_by_role("button", name="Save").click()
    assert live.service.projects.get(slug).strategy_parameters == {}, "0.5 at the most"
    part.get_by_label("controls").fill("0.25")
    part.get_by_role("button", name="Save").click()
    expect(page.get_by_text("it holds from the next order on")).to_be_visible()
    project = live.service.projects.get(slug)
    assert project.strategy == "er-gap"
    assert project.strategy_parameters == {"controls": 0.25}
    assert violations(page) == []

    page.reload()
    expect(strategy).to_have_value("er-gap")
    part.get_by_text("Parameters").click()
    expect(part.get_by_label("controls")).to_have_value("0.25")


def test_a_form_overwrites_nothing_that_others_changed(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Together")
    page = browse()
    page.route("**/events*", lambda route: route.abort())
    page.goto(f"/projects/{slug}/queue")
    part = page.get_by_role("region", name="How tiles are chosen")
    part.get_by_text("Parameters").click()

    def answers(method: str, answer: Response) -> bool:
        path = f"/api/v1/projects/{slug}"
        return answer.request.method == method and answer.url.endswith(path)

    def save(controls: str) -> int:
        part.get_by_label("controls").fill(controls)
        with (
            page.expect_response(partial(answers, "GET")),
            page.expect_response(partial(answers, "PATCH")) as saved,
        ):
            part.get_by_role("button", name="Save").click()
        return saved.value.status

    assert [save("0.2"), save("0.25")] == [200, 200], "each is based on the last"
    edit = ProjectEdit(strategy_parameters={"controls": 0.1})
    live.service.projects.edit(live.service.projects.get(slug), edit)
    assert save("0.3") == 412
    expect(page.get_by_role("alert")).to_be_visible()
    assert live.service.projects.get(slug).strategy_parameters == {"controls": 0.1}
    assert save("0.3") == 200


def test_the_pictures_of_a_version(live: Live, browse: Browsing, learnt: str) -> None:
    page = browse()
    page.goto(f"/projects/{learnt}/models")
    panel = page.get_by_role("region", name="Test panel")
    for title in ("image", "ground truth", "prediction", "errors"):
        picture = panel.get_by_role("img", name=f"{title} of tile").first
        expect(picture).to_be_visible()
        assert pixels(picture).std() > 10
    grey = pixels(panel.get_by_role("img", name="image of tile").first)
    truth = pixels(panel.get_by_role("img", name="ground truth of tile").first)
    assert 0.02 < (colour(truth) > 20).mean() < 0.9
    assert (colour(grey) == 0).mean() > 0.9
    expect(panel.get_by_role("img")).to_have_count(12)
    panel.get_by_role("button", name="2 more").click()
    expect(panel.get_by_role("img")).to_have_count(20)
    # a prediction that was collected is asked for, and the panel shows it by itself
    (live_one,) = [
        model
        for model in live.service.models.list(learnt)
        if model.state is ModelState.LIVE
    ]
    shown = panel.get_by_role("img").first
    with live.app.state.database.unit_of_work() as session:
        test_image = select(Image.id).where(Image.split == Split.TEST)
        session.execute(
            delete(Prediction).where(
                Prediction.model_version_id == live_one.id,
                Prediction.image_id.in_(test_image),
            )
        )
    page.reload()
    expect(panel.get_by_text("ask for it below").first).to_be_visible()
    asked = page.get_by_role("region", name="A whole image")
    asked.get_by_label("Image").select_option(label="scene 13 (test)")
    with live.working():
        asked.get_by_role("button", name="Predict it").click()
        expect(shown).to_be_visible(timeout=60_000)
    page.reload()
    expect(page.get_by_text("Dice of each organelle")).to_be_visible()
    expect(page.get_by_text("Metrics by organelle")).to_be_visible()
    whole = page.get_by_role("region", name="A whole image")
    expect(whole.get_by_label("Image")).to_contain_text("scene 14 (unseen)")
    with live.working():
        whole.get_by_role("button", name="Predict it").click()
        overlay = whole.get_by_role("img")
        expect(overlay).to_be_visible(timeout=60_000)
    assert overlay.evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert (colour(pixels(overlay)) > 20).mean() > 0.02
    expect(whole.get_by_role("row").filter(has_text="mitochondria")).to_contain_text(
        "%"
    )


def colour(shot: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How far each pixel is from grey."""
    return shot.max(2).astype(np.int64) - shot.min(2)


def test_versions_are_compared_promoted_rolled_back_and_taken_along(
    live: Live, browse: Browsing, learnt: str, tmp_path: Path
) -> None:
    page = browse()
    page.goto(f"/projects/{learnt}/models")
    table = page.get_by_role("table").first
    second, first = table.get_by_role("row").nth(1), table.get_by_role("row").nth(2)
    first.get_by_role("button", name="Compare").click()
    beside = page.get_by_role("region", name="Round 1 against round 2")
    expect(beside.get_by_role("row").filter(has_text="ER")).to_contain_text("0.9")
    with page.expect_download() as coming:
        page.get_by_role("link", name="zip").click()
    coming.value.save_as(tmp_path / "round.zip")
    with zipfile.ZipFile(tmp_path / "round.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist()

    def state(ordinal: int) -> str:
        versions = live.service.models.list(learnt)
        return next(v.state for v in versions if v.ordinal == ordinal)

    first.get_by_role("button", name="Promote").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert state(1) == "retired"
    first.get_by_role("button", name="Promote").click()
    page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    expect(first).to_contain_text("live")
    assert (state(1), state(2)) == ("live", "retired")
    first.get_by_role("button", name="Roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(second).to_contain_text("live")
    assert (state(1), state(2)) == ("retired", "live")


def test_policies_are_made_mended_and_deleted(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Nightly")
    page = browse()
    page.goto(f"/projects/{slug}/policies")
    page.get_by_role("button", name="New policy").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name").fill("at night")
    form.get_by_label("At times, as cron").fill("99 2 * * *")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("cron:")
    form.get_by_label("At times, as cron").fill("0 2 * * *")
    form.get_by_label("Quiet from").fill("08:00")
    form.get_by_label("until").fill("18:00")
    form.get_by_role("button", name="Save").click()
    line = page.get_by_role("row").filter(has_text="at night")
    expect(line).to_contain_text("at 0 2 * * *")
    expect(line).to_contain_text("08:00 – 18:00")
    line.get_by_role("button", name="Edit").click()
    form.get_by_label("After so many newly accepted tiles").fill("12")
    form.get_by_role("button", name="Save").click()
    expect(line).to_contain_text("after 12 tiles and at 0 2 * * *")
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        line.get_by_label("at night is on").uncheck()
    expect(line.get_by_label("at night is on")).not_to_be_checked()
    [policy] = live.service.policies.list(slug)
    assert (policy.cron, policy.every_annotations, policy.enabled) == (
        "0 2 * * *",
        12,
        False,
    )
    line.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Nothing trains by itself yet")).to_be_visible()
    assert list(live.service.policies.list(slug)) == []


def test_people_are_invited_and_change_their_roles(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Crowd")
    page = browse()
    page.goto(f"/projects/{slug}/people")
    page.get_by_role("combobox", name="as", exact=True).select_option("viewer")
    page.get_by_label("good for hours").fill("1")
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_role("status").locator("code").inner_text()
    theirs = browse(link, name="Bo")
    page.reload()
    role = page.get_by_label("Role of Bo")
    expect(role).to_have_value("viewer")
    expect(theirs.get_by_role("link", name="Annotate")).not_to_be_visible()
    with page.expect_response(lambda answer: answer.request.method != "GET"):
        role.select_option("reviewer")
    theirs.reload()
    expect(theirs.get_by_role("link", name="Review")).to_be_visible()
    theirs.goto(f"/projects/{slug}/people")
    expect(theirs.get_by_role("link", name="Overview")).to_be_visible()
    expect(theirs.get_by_role("link", name="People")).not_to_be_visible()
    expect(theirs.get_by_role("combobox")).not_to_be_visible()
    page.get_by_role("row").filter(has_text="Bo").get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(role).not_to_be_visible()
    theirs.goto("/")
    expect(theirs.get_by_text("No project yet")).to_be_visible()


def test_a_token_is_shown_once_and_works(live: Live, browse: Browsing) -> None:
    page = browse()
    page.get_by_role("link", name="admin").click()
    page.get_by_label("Name").fill("notebook")
    page.get_by_label("only for reading").check()
    page.get_by_role("button", name="Make a token").click()
    secret = page.get_by_role("status").locator("code").inner_text()
    # as over plain http, where browsers keep the clipboard to themselves
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied.")).to_be_visible()
    page.get_by_label("Name").press("Control+v")
    expect(page.get_by_label("Name")).to_have_value(secret)
    page.get_by_label("Name").fill("")
    with Cisterna(live.url, secret) as service:
        assert service.people.me().name == "admin"
    line = page.get_by_role("row").filter(has_text="notebook")
    expect(line.get_by_role("cell").nth(2)).to_have_text("read")
    page.reload()
    expect(line).to_be_visible()
    assert secret not in page.content()
    line.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(line).to_contain_text("revoked")
    refused = httpx.get(
        f"{live.url}/api/v1/me",
        headers={"Authorization": f"Bearer {secret}"},
        trust_env=False,
    )
    assert refused.status_code == 401


def test_a_training_that_failed_greets_people(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Bad night")
    why = "The training ran out of memory: choose a smaller profile."
    job_row(
        live,
        slug,
        JobState.FAILED,
        finished_at=now(),
        error=why,
        log="epoch 3\nout of memory\n",
    )
    page = browse()
    page.goto(f"/projects/{slug}")
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text(why)
    banner.get_by_role("link", name="See its log").click()
    page.get_by_text("End of its log").click()
    expect(page.locator("pre")).to_contain_text("out of memory")


def test_a_training_is_watched_and_stopped(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "Running")
    curve = [
        {
            "step": step,
            "loss": 1 / step,
            "measured_on": "validation",
            "measured_loss": 2 / step,
            "dice": {"ER": step / 200},
        }
        for step in range(10, 110, 10)
    ]
    job = job_row(
        live,
        slug,
        JobState.RUNNING,
        message="Training",
        fraction=0.25,
        progress={"step": 100, "seconds_left": 240.0},
        curve=curve,
        log="step 100\n",
    )
    page = browse()
    page.goto(f"/projects/{slug}/training")
    detail = page.get_by_role("region", name="The train job")
    expect(detail).to_contain_text("step 100, about 4 min left")
    assert drawn(page, chart_name="Loss against steps")
    assert drawn(page, chart_name="Dice of each organelle against steps")
    expect(detail.get_by_role("progressbar")).to_have_attribute("value", "0.25")
    database = live.app.state.database
    for step in (200, 300):
        with database.unit_of_work() as session:
            row = session.get_one(Job, job.id)
            row.progress, row.fraction = {"step": step, "seconds_left": 30.0}, 0.75
            jobs.announce(session, row.project_id, row.id, row.state)
        expect(detail).to_contain_text(f"step {step}, about 30 s left")
    detail.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(detail.get_by_role("button", name="Stopping …")).to_be_disabled()
    assert live.service.jobs.get(job.id).cancel_requested
    with database.unit_of_work() as session:
        row = session.get_one(Job, job.id)
        jobs.cancelled(session, row)
    expect(detail).to_contain_text("cancelled")
    expect(detail.get_by_role("button", name="Stopping …")).not_to_be_visible()


def test_a_training_is_started_by_hand(live: Live, browse: Browsing) -> None:
    slug = painting_project(live, "By hand")
    page = browse()
    page.goto(f"/projects/{slug}/training")
    page.get_by_role("button", name="Train now").click()
    page.get_by_role("dialog").get_by_role("button", name="Train").click()
    # nothing is annotated: it says what to do
    expect(page.get_by_role("alert")).to_contain_text("annotat")
    assert list(live.service.jobs.list(slug, kind=JobKind.TRAIN)) == []
