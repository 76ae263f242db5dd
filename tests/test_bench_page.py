"""The bench of the page, in small: every part measures, and what is painted is right.

No time is asserted here: what the machine can do is for the long run to say.
"""

import json
from pathlib import Path

import pytest
from live_fixtures import Live
from playwright.sync_api import Browser

from bench import page
from bench.browser import sign_in


@pytest.fixture
def bench(chromium: Browser, live: Live) -> page.Bench:
    """A bench of small tiles."""
    size = page.Size(
        strokes=3, minutes=0.1, openings=1, submissions=2, loop_tile=64, shrunk=16
    )
    return page.Bench(chromium, live.service, size)


def test_every_part_of_the_page_is_measured(
    bench: page.Bench, live: Live, tmp_path: Path
) -> None:
    with live.working():
        parts = {part: bench.run(part) for part in page.PARTS}
    brush = parts["brush-1024"]
    assert brush["ours"]["events"] == brush["peer"]["events"] == 3 * 11
    assert brush["ours"]["dab_ms"]["p50"] <= brush["ours"]["dab_ms"]["max"]
    samples = parts["long"]["samples"]
    assert len(samples) == 2
    assert all(sample["steps"] > 0 for sample in samples)
    assert all(1 < sample["heap_mib"] < sample["process_mib"] for sample in samples)
    assert set(parts["opening"]["first_tile_ms"]) == {"cold", "warm"}
    assert parts["bundle"]["annotator_kb"] < parts["bundle"]["whole_kb"]
    assert parts["bytes"]["differ"] == 0
    assert parts["bytes"]["painted_pixels"] > 100
    result = page.summary(parts)
    assert set(result["reached_each"]) == set(result["targets"])
    assert result["reached_each"]["bytes_differ"]
    assert json.loads(json.dumps(result)) == result


def test_a_part_that_is_missing_reaches_nothing() -> None:
    result = page.summary({})
    assert not any(result["reached_each"].values())


def test_signing_in_leaves_a_session(chromium: Browser, live: Live) -> None:
    state = sign_in(chromium, live.service, live.url)
    assert [cookie["httpOnly"] for cookie in state["cookies"]] == [True]
