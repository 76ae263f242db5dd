"""What the page shows of people's quality, and what more tiles would still teach."""

import pytest
from api_fixtures import client_with, person
from live_fixtures import Live
from loop_fixtures import ER, MITO
from page_fixtures import Browsing, painting_project, violations
from playwright.sync_api import expect
from test_tasks import claimed, mask, submit


@pytest.fixture
def live(served: Live) -> Live:
    """The service of all tests of this file."""
    return served


def test_managers_see_agreement_and_set_its_shares(
    live: Live, browse: Browsing
) -> None:
    slug = painting_project(live, "Agreement")
    admin = client_with(live.app, live.token)
    page = browse(bypass_csp=True)
    page.goto(f"/projects/{slug}/quality")
    part = page.get_by_role("region", name="Agreement")
    expect(part).to_contain_text("not known yet")
    part.get_by_label("Second opinions on % of tiles").fill("100")
    part.get_by_label("Gold, % of a person's tiles").fill("12.5")
    part.get_by_role("button", name="Save shares").click()
    expect(page.get_by_text("it holds for tiles from now on")).to_be_visible()
    project = live.service.projects.get(slug)
    assert (project.second_share, project.gold_share) == (1, 0.125)

    one, two = (person(live.app, admin, slug, "annotator") for _ in range(2))
    submit(one, claimed(one, slug)[0], mask(ER))
    submit(two, claimed(two, slug)[0], mask(MITO))
    page.reload()
    line = part.get_by_role("row").filter(has_text="Second opinions")
    expect(line).to_contain_text("0.000 (1)")
    expect(part.get_by_label("Gold, % of a person's tiles")).to_have_value("12.5")
    assert violations(page) == []

    page.goto(f"/projects/{slug}/overview")
    advice = page.get_by_role("region", name="Is it enough?")
    expect(advice).to_contain_text("ER: not known yet. Nothing of it is measured")
    assert violations(page) == []
