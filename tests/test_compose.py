"""The stack for a server: docker-compose.yml, deploy/, and every command it starts."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url
from stage import DEPLOY, ROOT, SECRETS, VARIABLE, Services, Stage, interpolated, wait
from stage import document as document
from stage import services as services
from stage import stage as stage

from backend.cli.stack import stack
from backend.db import migrate
from backend.embedded import Program
from backend.settings import Settings

ONE_SHOT = {"migrate", "bucket"}
OURS = ("migrate", "backend", "beat", "worker-cpu", "worker-gpu")


def test_it_fits_the_compose_specification(tmp_path: Path) -> None:
    def check(path: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "check_jsonschema"]
        schema = ["--builtin-schema", "vendor.compose-spec"]
        return subprocess.run(
            [*command, *schema, str(path)], capture_output=True, text=True, check=False
        )

    ours = check(ROOT / "docker-compose.yml")
    assert ours.returncode == 0, ours.stdout + ours.stderr
    wrong = tmp_path / "docker-compose.yml"
    text = (ROOT / "docker-compose.yml").read_text()
    wrong.write_text(text.replace("stop_grace_period", "grace_period"))
    assert check(wrong).returncode == 1


def test_it_has_the_services_of_the_house(services: Services) -> None:
    assert set(services) == {"postgres", "valkey", "minio", "bucket", *OURS}
    profiles = {n: s["profiles"] for n, s in services.items() if "profiles" in s}
    assert profiles == {"minio": ["s3"], "bucket": ["s3"], "worker-gpu": ["gpu"]}
    assert services["postgres"]["image"].startswith("postgres:17")
    valkey = " ".join(services["valkey"]["command"])
    assert "--appendonly yes" in valkey
    assert "--maxmemory-policy noeviction" in valkey


def test_every_service_is_hardened(services: Services) -> None:
    for name, service in services.items():
        _, _, tag = service["image"].rpartition(":")
        assert re.match(r"\d", tag), f"{name}: the image has no version"
        assert service["user"].partition(":")[0] not in {"", "0", "root"}, name
        assert service["init"] is True, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "network_mode", "pid", "ipc", "cap_add"} & set(
            service
        ), name
        assert not any("docker.sock" in volume for volume in service.get("volumes", []))
        assert all(
            port.startswith("127.0.0.1:") for port in service.get("ports", [])
        ), name


def test_every_service_is_watched(services: Services) -> None:
    for name, service in services.items():
        if name in ONE_SHOT:
            assert service["restart"] == "no", name
            assert service["healthcheck"] == {"disable": True}, name
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}, name
            assert service["stop_grace_period"], name
        for other, how in service.get("depends_on", {}).items():
            wanted = "completed_successfully" if other in ONE_SHOT else "healthy"
            assert how["condition"] == f"service_{wanted}", name
            # a service of a profile that is off must not be waited for
            only = services[other].get("profiles", [])
            assert set(only) <= set(service.get("profiles", [])) or not how["required"]


def test_workers_have_shared_memory_and_a_gpu(
    services: Services,
) -> None:
    for name in ("worker-cpu", "worker-gpu"):
        assert services[name]["shm_size"]
        assert services[name]["stop_grace_period"] == "120s"
    reserved = services["worker-gpu"]["deploy"]["resources"]["reservations"]
    assert reserved["devices"][0]["capabilities"] == ["gpu"]
    assert "deploy" not in services["worker-cpu"]


def test_secrets_come_from_the_environment_alone(document: dict[str, Any]) -> None:
    for missing in SECRETS:
        rest = {name: value for name, value in SECRETS.items() if name != missing}
        with pytest.raises(KeyError, match=missing):
            interpolated(document, rest)
    text = json.dumps(document)
    assert not re.findall(r'(?i)"\w*(?:password|secret|auth)\w*": "(?!\$\{|--)', text)


def test_the_example_names_every_variable_and_gives_no_secret() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    used = {name for name, _, _ in VARIABLE.findall(text)}
    example = (DEPLOY / ".env.example").read_text()
    named = dict(re.findall(r"^#?([A-Z]\w*)=(.*)$", example, re.MULTILINE))
    assert set(named) == used
    assert {name for name, value in named.items() if not value} == set(SECRETS)


def test_the_environment_holds_settings_only(
    services: Services,
) -> None:
    prefix = "CISTERNA_"
    for name in OURS:
        environment = services[name]["environment"]
        given = {key for key in environment if key.startswith(prefix)}
        fields = {prefix + field.upper() for field in Settings.model_fields}
        assert given <= fields, name
        url = make_url(environment["CISTERNA_DATABASE_URL"])
        assert (url.host, url.database) == ("postgres", "cisterna")
        assert url.password == services["postgres"]["environment"]["POSTGRES_PASSWORD"]


def test_images_are_built_from_what_is_there(
    services: Services,
) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE))
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for service in services.values():
        if build := service.get("build"):
            assert (ROOT / build["dockerfile"]).is_file()
            assert build["target"] in stages
    for options, sources in re.findall(
        r"^COPY ((?:--\S+ )*)((?:\S+ )+)\S+$", dockerfile, re.MULTILINE
    ):
        if "--from=" in options:
            continue
        for source in sources.split():
            assert (ROOT / source).exists()
            assert f"!{source}" in allowed, f"{source} is kept from the build"
    runs = re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)
    assert all("USER 10001:10001" in part for part in runs if " AS api\n" in part)
    assert all("USER 10001:10001" in part for part in runs if " AS worker\n" in part)


def test_the_commands_are_those_of_cisterna_up(
    services: Services, tmp_path: Path
) -> None:
    def of_up(lanes: tuple[str, ...]) -> dict[str, list[str]]:
        settings = Settings(
            data_dir=tmp_path,
            database_url=SecretStr("postgresql+psycopg://nowhere/none"),
            broker_url=SecretStr("redis://nowhere/0"),
            host="0.0.0.0",
            lanes=lanes,
        )
        _, processes = stack(settings)
        # what comes before `-m` are options of the interpreter
        return {
            p.name: p.argv[p.argv.index("-m") + 1 :]
            for p in processes
            if isinstance(p, Program)
        }

    everything = of_up(("cpu", "gpu"))
    for service, process in {
        "backend": "api",
        "beat": "beat",
        "worker-cpu": "worker",
    }.items():
        assert services[service]["command"] == everything[process]
    # the clock is the business of the worker that always runs
    gpu = [word.removesuffix(",tick") for word in of_up(("gpu",))["worker"]]
    assert services["worker-gpu"]["command"] == gpu
    assert services["migrate"]["command"] == ["cisterna", "migrate"]
    assert everything["migrate"] == ["backend.cli", "migrate"]


def test_beat_needs_nothing_of_the_workers_image() -> None:
    """It runs in the image that has no torch, nnU-Net or scikit-learn."""
    heavy = ("torch", "nnunetv2", "sklearn", "matplotlib")
    code = f"import sys; sys.modules.update(dict.fromkeys({heavy})); import worker.app"
    environment = {**os.environ, "CISTERNA_BROKER_URL": "redis://nowhere/0"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


# Every command as a process, with servers that run here in the place of the containers


def tables(database_url: str) -> set[str]:
    url = make_url(database_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        )
        return {row[0] for row in rows}


def test_every_command_starts_and_ends_well(stage: Stage, database_url: str) -> None:
    migrate(database_url, "base")
    assert "jobs" not in tables(database_url)
    assert not stage.is_healthy("backend")
    done = stage.run_once("migrate", stage.services["migrate"]["command"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "jobs" in tables(database_url)

    with ExitStack() as stack:
        running = {
            name: stack.enter_context(stage.running(name))
            for name in OURS
            if name not in ONE_SHOT
        }

        def says(name: str, word: str) -> bool:
            process, log = running[name]
            assert process.poll() is None, f"{name} ended:\n{log.read_text()}"
            return word in log.read_text()

        for name in ("worker-cpu", "worker-gpu"):
            wait(lambda name=name: says(name, "ready."), f"{name} is not ready")
        wait(lambda: says("backend", "") and stage.is_healthy("backend"), "no answer")
        schedule = stage.at / "data"
        wait(lambda: says("beat", "") and any(schedule.glob("beat*")), "beat is silent")
        with urlopen(f"http://127.0.0.1:{stage.port}/readyz", timeout=30) as answer:
            ready = json.load(answer)
        assert ready == {"status": "ok", "database": "ok", "broker": "ok"}
        for name in running:
            assert stage.is_healthy(name), name
        for name, (process, log) in running.items():
            assert process.poll() is None, f"{name} ended:\n{log.read_text()}"
            assert "Traceback" not in log.read_text(), log.read_text()
            process.terminate()
        for name, (process, log) in running.items():
            ended = process.wait(timeout=60)
            # uvicorn raises the signal again once it has shut down
            assert ended in {0, -signal.SIGTERM}, f"{name}:\n{log.read_text()}"


def test_a_health_check_fails_without_its_servers(stage: Stage) -> None:
    stage.translated["CISTERNA_BROKER_URL"] = f"redis://127.0.0.1:{stage.port}/0"
    assert not stage.is_healthy("worker-cpu")
