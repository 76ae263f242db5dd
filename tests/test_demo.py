"""`cisterna demo`: from nothing to a tile that can be painted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from backend.client import Cisterna


def test_the_demo_ends_with_a_tile_to_paint(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if "CISTERNA" not in key}
    command = [sys.executable, "-m", "backend.cli", "demo"]
    for again in (False, True):
        with subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
        ) as demo:
            assert demo.stdout is not None
            lines: list[str] = []
            try:
                for line in demo.stdout:
                    lines.append(line)
                    if "Ctrl-C stops everything" in line:
                        break
                text = "".join(lines)
                assert ("is here already" in text) is again, text
                address = next(line for line in lines if "address" in line).split()[-1]
                token = (tmp_path / "cisterna-demo/admin.token").read_text().strip()
                with Cisterna(address, token) as service:
                    (task,) = service.tasks.claim("demo").tasks
                    assert task.prediction_id is not None
                    overlay = service.predictions.picture(task.prediction_id, "overlay")
                    service.tasks.release(task.id)
            finally:
                demo.send_signal(signal.SIGTERM)
                demo.stdout.read()
        assert demo.returncode == 0
        assert overlay.startswith(b"\x89PNG")
