"""Taking a network along from the page, as ONNX and as a BioImage.IO package."""

import zipfile
from pathlib import Path

import pytest
from live_fixtures import Live
from page_fixtures import Browsing, painting_project

pytest.importorskip("torch", reason="the worker extra is not installed")
pytest.importorskip("nnunetv2", reason="the worker extra is not installed")

import onnxruntime
from test_travel import folder, stored

__all__ = ["folder"]


@pytest.fixture
def live(served: Live) -> Live:
    """The service of all tests of this file."""
    return served


def test_a_network_is_packed_and_taken_along(
    live: Live, browse: Browsing, folder: Path, tmp_path: Path
) -> None:
    slug = painting_project(live, "Packages")
    stored(live.app.state.database, live.app.state.store, slug, folder)
    page = browse()
    page.goto(f"/projects/{slug}/models")
    with live.working():
        with page.expect_download(timeout=180_000) as coming:
            page.get_by_role("button", name="ONNX").click()
            assert page.get_by_role("button", name="BioImage.IO").is_disabled()
        coming.value.save_as(tmp_path / "model.onnx")
        with page.expect_download(timeout=180_000) as coming:
            page.get_by_role("button", name="BioImage.IO").click()
        coming.value.save_as(tmp_path / "bioimage.zip")
    with zipfile.ZipFile(tmp_path / "bioimage.zip") as archive:
        assert archive.testzip() is None
        assert "rdf.yaml" in archive.namelist()
    session = onnxruntime.InferenceSession(
        tmp_path / "model.onnx", providers=["CPUExecutionProvider"]
    )
    assert [each.name for each in session.get_inputs()] == ["image"]
