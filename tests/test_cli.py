"""The command line as a person meets it: real processes, or `main` in this one."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from live_fixtures import Live
from loop_fixtures import scene
from PIL import Image

from backend import cli
from backend.cli import doctor, stack, valuemap
from backend.client import ClientError
from backend.domain.errors import Conflict
from backend.embedded import Program
from backend.schemas.project import LabelView
from backend.settings import Settings

MAP = "2=mitochondria,4=ER"


class Terminal:
    """Runs commands against a live service and keeps what they print."""

    def __init__(self, live: Live, capsys: pytest.CaptureFixture[str]) -> None:
        self.live, self._capsys = live, capsys

    def __call__(self, *words: object) -> tuple[int, str, str]:
        """Return status, standard output and standard error."""
        argv, sys.argv = sys.argv, ["cisterna", *map(str, words)]
        self._capsys.readouterr()
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code or 0)
        finally:
            sys.argv = argv
        out, err = self._capsys.readouterr()
        return status, out, err

    def json(self, *words: object) -> Any:
        """Return the parsed output of a command that must go well."""
        status, out, err = self(*words, "--json")
        assert status == 0, err
        return json.loads(out)


@pytest.fixture
def cisterna(
    live: Live, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    monkeypatch.setenv("CISTERNA_SERVER", live.url)
    monkeypatch.setenv("CISTERNA_TOKEN", live.token)
    return Terminal(live, capsys)


def scenes(folder: Path, **seeds: int) -> None:
    """Write images with dark discs and pale stripes, and their labels beside."""
    (folder / "labels").mkdir(exist_ok=True)
    for name, seed in seeds.items():
        grey, truth = scene(seed, 128)
        Image.fromarray(grey).save(folder / f"{name}.png")
        Image.fromarray(truth).save(folder / "labels" / f"{name}.png")


def test_a_noun_alone_lists_its_verbs(cisterna: Terminal) -> None:
    for noun in ("project", "image", "task", "train", "predict", "model", "query"):
        _, out, _ = cisterna(noun, "--help")
        assert "Commands:" in out, noun
    for noun in ("policy", "token", "export"):
        _, out, _ = cisterna(noun, "--help")
        assert "Commands:" in out, noun


def test_projects_from_creation_to_edit(cisterna: Terminal) -> None:
    words = ("project", "create", "Human liver", "--preset", "liver", "--seed", 3)
    made = cisterna.json(*words, "--label", "peroxisome:2", "--steps", 300)
    assert (made["slug"], made["seed"]) == ("human-liver", 3)
    assert made["training"]["steps"] == 300
    assert made["labels"][-1]["priority"] == 2
    cisterna.json("project", "edit-label", "human-liver", "ER", "--priority", 2.5)
    edited = ("--minutes", 5, "--schedule", "full", "--no-stop-at-plateau")
    cisterna.json("project", "edit", "human-liver", *edited)
    after = cisterna.json("project", "show", "human-liver")["training"]
    assert (after["steps"], after["minutes"]) == (300, 5)
    assert (after["schedule"], after["stop_at_plateau"]) == ("full", False)
    status, _, wrong = cisterna(
        "train", "start", "human-liver", "--replan", "--schedule", "quick"
    )
    assert status != 0
    assert "no accepted annotation" in wrong
    assert {p["slug"] for p in cisterna.json("project", "list")} == {"human-liver"}
    status, out, _ = cisterna("project", "list")
    assert status == 0
    assert "human-liver" in out
    assert cisterna.json("project", "metrics", "human-liver")["rounds"] == []


def test_a_strategy_and_its_parameters(cisterna: Terminal) -> None:
    turned = ("--parameter", "controls=0.2", "--parameter", "budget=80")
    made = cisterna.json("project", "create", "Liver", "--preset", "liver", *turned)
    assert made["strategy_parameters"] == {"controls": 0.2, "budget": 80}
    edit = ("project", "edit", "liver", "--strategy", "entropy")
    after = cisterna.json(*edit, "--parameter", "budget=", "--parameter", "noise=2")
    assert after["strategy"] == "entropy"
    assert after["strategy_parameters"] == {"controls": 0.2, "noise": 2}
    for wrong, said in (
        ("controls", "write controls=NUMBER"),
        ("controls=many", "'many' is no number"),
        ("controls=0.9", "must lie between 0 and 0.5"),
        ("colour=1", "no parameter 'colour'"),
    ):
        status, _, told = cisterna("project", "edit", "liver", "--parameter", wrong)
        assert status != 0
        assert said in told
    _, out, _ = cisterna("query", "strategies")
    assert "er-gap" in out
    assert "random" in out
    _, out, _ = cisterna("query", "parameters")
    assert "controls" in out


@pytest.mark.parametrize(
    "words",
    [
        ("project", "show", "nowhere"),
        ("project", "create", "x", "--tile-size", "5"),
        ("project", "list", "--token", "cst_wrong"),
        ("project", "list", "--server", "http://127.0.0.1:9"),
        ("project", "list", "--server", "no address"),
        ("train", "start", "liver"),
        ("query", "rerank", "liver"),
        ("policy", "create", "liver", "p", "--cron", "not a cron"),
        ("policy", "create", "liver", "p", "--quiet", "8"),
        ("project", "edit", "liver"),
        ("image", "show", "6f0c4c1e-5a1d-4a53-8f6a-0f7f3a6f9a10"),
        ("export", "create", "liver", "--out", "/nowhere/at/all.zip"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_status(
    cisterna: Terminal, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr("backend.client.transport.FIRST_PAUSE", 0.01)
    cisterna.live.project()
    status, out, err = cisterna(*words)
    assert status == 1
    assert out == ""
    assert err.startswith("cisterna: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_the_local_admin_token_is_read_by_itself(
    cisterna: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CISTERNA_TOKEN")
    monkeypatch.setenv("CISTERNA_DATA_DIR", str(cisterna.live.settings.data_dir))
    assert len(cisterna.json("token", "list")) == 1
    monkeypatch.setenv("CISTERNA_DATA_DIR", str(tmp_path / "nowhere"))
    status, _, err = cisterna("token", "list")
    assert status == 1
    assert "admin.token" in err


def test_images_with_labels_and_pages(cisterna: Terminal, tmp_path: Path) -> None:
    slug = cisterna.live.project()
    scenes(tmp_path, a=1, b=2)
    stack = np.random.default_rng(1).integers(0, 256, (3, 70, 90), np.uint8)
    tifffile.imwrite(
        tmp_path / "stack.tif",
        stack,
        photometric="minisblack",
        resolution=(625_000, 625_000),
        resolutionunit="CENTIMETER",
    )
    where = ("--project", slug)
    with cisterna.live.working():
        both = tmp_path / "a.png", tmp_path / "b.png"
        labels = ("--labels", tmp_path / "labels", "--map", MAP)
        added = cisterna.json(
            "image", "add", *both, *where, "--split", "test", *labels, "--pixel-nm", 4
        )
        assert [image["state"] for image in added] == ["ready", "ready"]
        tiles = cisterna.json("query", "tiles", slug, "--split", "test")
        assert {tile["state"] for tile in tiles} == {"annotated"}

        status, _, err = cisterna("image", "add", tmp_path / "stack.tif", *where)
        assert status == 1
        assert "--pages" in err
        words = ("image", "add", tmp_path / "stack.tif", "--pages", *where)
        pages = cisterna.json(*words)
    assert [page["name"] for page in pages] == [
        f"stack-page000{number}.tif" for number in (1, 2, 3)
    ]
    assert {page["pixel_nm"] for page in pages} == {16}
    region = cisterna.live.service.images.region(pages[1]["id"])
    assert np.array_equal(region, stack[1])
    status, _, err = cisterna("image", "add", *both, *where, "--labels", both[0])
    assert status == 1
    assert "folder" in err


def test_a_task_by_hand(
    cisterna: Terminal, tmp_path: Path, grey: Callable[[Path], Path]
) -> None:
    slug = cisterna.live.project()
    with cisterna.live.working():
        cisterna.json("image", "add", grey(tmp_path / "a.png"), "--project", slug)
    task = cisterna.json("task", "claim", slug)["tasks"][0]
    assert cisterna("task", "fetch", task["id"], "--into", tmp_path)[0] == 0
    mask = tmp_path / f"{task['id']}-mask.png"
    drawn = np.array(Image.open(mask))
    drawn[:8] = 4
    Image.fromarray(drawn).save(mask)
    made = cisterna.json("task", "submit", task["id"], mask, "--complete-for", "4")
    assert made["complete_for"] == [4]
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(mask)
    status, _, err = cisterna("task", "submit", task["id"], mask)
    assert status == 1
    assert "grey" in err


def test_policies_and_tokens(cisterna: Terminal) -> None:
    slug = cisterna.live.project()
    words = ("policy", "create", slug, "nightly", "--cron", "0 2 * * *")
    made = cisterna.json(*words, "--quiet", "08:00-18:00")
    assert made["quiet_from"] == "08:00:00"
    edited = cisterna.json("policy", "edit", slug, made["id"], "--disable")
    assert not edited["enabled"]
    assert edited["cron"] == "0 2 * * *"
    assert cisterna("policy", "delete", slug, made["id"])[0] == 0
    assert cisterna.json("policy", "list", slug) == []

    token = cisterna.json("token", "create", "notebook", "--read-only")
    words = ("project", "create", "x", "--token", token["secret"])
    assert "read-only" in cisterna(*words)[2]
    assert cisterna("token", "revoke", token["id"])[0] == 0
    assert cisterna("project", "list", "--token", token["secret"])[0] == 1


def test_members_change_their_role_and_leave(cisterna: Terminal) -> None:
    slug = cisterna.live.project()
    link = cisterna.json("project", "invite", slug, "annotator")
    httpx.post(
        f"{cisterna.live.url}/api/v1/sessions",
        json={"token": link["token"], "name": "Bo"},
        trust_env=False,
    ).raise_for_status()

    def roles() -> dict[str, tuple[str, str]]:
        found = cisterna.json("project", "members", slug)
        return {row["name"]: (row["role"], row["user_id"]) for row in found}

    role, bo = roles()["Bo"]
    assert role == "annotator"
    changed = cisterna.json("project", "set-role", slug, bo, "reviewer")
    assert changed["role"] == "reviewer"
    assert roles()["Bo"][0] == "reviewer"
    assert cisterna("project", "remove-member", slug, bo)[0] == 0
    assert "Bo" not in roles()
    assert cisterna("project", "remove-member", slug, bo)[0] == 1


def test_simulate_plays_rounds_and_goes_on_where_it_was(
    cisterna: Terminal, tmp_path: Path
) -> None:
    slug = cisterna.live.project()
    scenes(tmp_path, pool=1, held=2)
    oracle, out = tmp_path / "labels", tmp_path / "records.json"
    labels = ("--labels", oracle, "--map", MAP)
    words = ("simulate", slug, "--oracle", oracle, "--map", MAP, "--tiles", 2)
    words = (*words, "--strategy", "random", "--seed", 0, "--out", out)
    with cisterna.live.working():
        for name, split in (("pool", "pool"), ("held", "test")):
            file = ("image", "add", tmp_path / f"{name}.png", "--project", slug)
            known = labels if split == "test" else ()
            cisterna.json(*file, "--split", split, *known)
        status, _, err = cisterna(*words, "--rounds", 1)
        assert status == 0, err
        first = json.loads(out.read_text())
        # a run that was killed before it could write its record
        out.unlink()
        status, _, err = cisterna(*words, "--rounds", 2)
        assert status == 0, err
    records = json.loads(out.read_text())
    assert records[0] == first[0]
    assert [record["round"] for record in records] == [1, 2]
    assert [record["tiles"] for record in records] == [2, 4]
    assert {record["strategy"] for record in records} == {"random"}
    assert {record["segmenter"] for record in records} == {"forest"}
    figures = records[1]["test"]["mitochondria"]
    ends = {"dice_low", "dice_high", "recall_low", "recall_high"}
    assert set(figures) == {"dice", "iou", "f1", "precision", "recall", "ap"} | ends
    assert figures["dice"] > 0.5
    training = cisterna.json("train", "list", slug)[0]["id"]
    assert "mitochondria" in cisterna.json("job", "curve", training)[-1]["dice"]
    queue = cisterna.json("query", "queue", slug)
    assert (queue["open"], queue["claimed"], queue["histograms"]) == (0, 0, [])
    assert cisterna("query", "queue", slug)[0] == 0
    made = cisterna.json("model", "list", slug)
    assert len(made) == 2, "the round that was done is not trained again"

    status, _, err = cisterna(*words, "--rounds", 9)
    assert status == 1
    wrong = [str(word) for word in words]
    wrong[wrong.index("--seed") + 1] = "7"
    status, _, err = cisterna(*wrong, "--rounds", 3)
    assert status == 1
    assert "seed" in err


def test_exports_and_pictures(cisterna: Terminal, tmp_path: Path) -> None:
    slug = cisterna.live.project()
    scenes(tmp_path, a=1)
    labels = ("--labels", tmp_path / "labels", "--map", MAP)
    with cisterna.live.working():
        image = ("image", "add", tmp_path / "a.png", "--project", slug)
        cisterna.json(*image, *labels)
        model = cisterna.json("train", "start", slug, "--wait")
        assert model["state"] == "live"
        shown = cisterna.json("predict", "list", model["id"])[0]
        picture = tmp_path / "p.png"
        words = ("predict", "picture", shown["id"], "probability", "--label", "ER")
        assert cisterna(*words, "--out", picture)[0] == 0
        assert Image.open(picture).size == (128, 128)
        assert cisterna("export", "create", slug, "--out", tmp_path / "e.zip")[0] == 0
        archive = tmp_path / "m.zip"
        assert cisterna("model", "download", model["id"], "--out", archive)[0] == 0
    for name in ("e.zip", "m.zip"):
        assert (tmp_path / name).read_bytes()[:2] == b"PK"
    assert not list(tmp_path.glob("*.part"))


def test_value_maps() -> None:
    labels = [
        LabelView(
            id="6f0c4c1e-5a1d-4a53-8f6a-0f7f3a6f9a10",  # type: ignore[arg-type]
            value=value,
            name=name,
            colour="#888888",
            priority=1,
            target_recall=0.9,
            precision_floor=None,
            guideline="",
            examples=[],
        )
        for value, name in ((1, "ER"), (3, "cell boundary"))
    ]
    parsed = valuemap.parse("7=ER, 8=cell boundary,9=unknown,4=3", labels)
    assert parsed == {0: 0, 255: 255, 7: 1, 8: 3, 9: 255, 4: 3}
    assert valuemap.parse(None, labels) == {0: 0, 255: 255, 1: 1, 3: 3}
    for wrong in ("7", "x=ER", "7=golgi", "7=2", ""):
        with pytest.raises(ClientError, match="--map"):
            valuemap.parse(wrong, labels)


def test_the_doctor_finds_what_is_wrong(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "TORCH", "import a_module_that_is_not_there")
    monkeypatch.setattr(doctor, "UI", tmp_path / "ui")
    monkeypatch.setattr(doctor, "WANTED_DISK", 2**70)
    installed = doctor.version

    def version(name: str) -> str:
        if name == "scikit-learn":
            raise PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(doctor, "version", version)
    found = {check.name: check for check in doctor.examine(settings)}
    assert list(found) == list(doctor.CHECKS)
    for name in ("python", "wheels", "database", "broker", "store"):
        assert found[name].state == "ok", found[name]
    for name, mend in {
        "disk": "CISTERNA_DATA_DIR",
        "page": "make page",
        "forest": "install 'cisterna[worker]'",
        "torch": "install 'cisterna[worker]'",
    }.items():
        assert found[name].state == "warn"
        assert mend in found[name].detail
    with socket.socket() as taken:
        taken.bind((settings.host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        broken = settings.model_copy(
            update={"port": port, "storage_url": "s3:///no bucket"}
        )
        found = {check.name: check for check in doctor.examine(broken)}
    assert found["port"].state == "fail"
    assert found["store"].state == "fail"
    assert all("\n" not in check.detail for check in found.values())


def test_a_taken_port_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "PORT_PATIENCE", 0.1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(data_dir=tmp_path, port=taken.getsockname()[1])
        with pytest.raises(Conflict, match="CISTERNA_PORT"):
            stack.check_port(settings)
    stack.check_port(settings)


def test_the_stack_starts_only_what_has_no_address(
    settings: Settings, tmp_path: Path
) -> None:
    # root's embedded database needs a home of its own, so names alone are compared
    _, processes = stack.stack(settings)
    assert [p.name for p in processes] == ["migrate", "api", "worker", "beat"]


def test_the_processes_share_the_settings_and_not_the_environment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CISTERNA_STORAGE_URL", "s3://laboratory/liver")
    monkeypatch.setenv("CISTERNA_PUBLIC_URL", "https://cisterna.example")
    monkeypatch.setenv("CISTERNA_LANES", '["gpu"]')
    _, processes = stack.stack(settings)
    for process in processes:
        assert isinstance(process, Program)
        for name, value in process.env.items():
            monkeypatch.setenv(name, value)
        theirs = Settings()
        assert theirs.storage_url == settings.storage_url
        assert theirs.public_url == settings.public_url
        assert theirs.lanes == settings.lanes


def test_migrate_makes_the_first_admin(
    database_url: str, valkey_url: str, tmp_path: Path
) -> None:
    env = {
        **os.environ,
        "CISTERNA_DATABASE_URL": database_url,
        "CISTERNA_DATA_DIR": str(tmp_path),
    }
    command = [sys.executable, "-m", "backend.cli", "migrate"]
    for _ in range(2):
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "admin.token").stat().st_mode & 0o777 == 0o600
    del env["CISTERNA_DATABASE_URL"]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cisterna up" in done.stderr
