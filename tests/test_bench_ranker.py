"""The ranker's bench in small: both sides run, and the result says what it should."""

import json
import subprocess
import sys


def test_the_bench_of_the_ranker_measures_each_size_alone(tmp_path):
    command = [sys.executable, "-m", "bench.ranker", "--sizes", "1000", "20000"]
    subprocess.run([*command, "--out", str(tmp_path)], check=True, timeout=200)
    found = json.loads((tmp_path / "bench-ranker.json").read_text())
    assert [row["tiles"] for row in found["sizes"]] == [1000, 20_000]
    for row in found["sizes"]:
        assert row["ratio_to_sort"] > 1  # ranking does more than sorting
        assert 0 < row["peak_gib"] < 2
    assert found["sizes"][1]["peak_gib"] < 20 * found["sizes"][0]["peak_gib"]
    assert len(found["growth"]) == 1
    assert set(found["reached_each"]) == {"seconds", "peak_gib", "growth"}
    assert found["reached"] is all(found["reached_each"].values())
    assert found["ratio"] == found["sizes"][1]["ratio_to_sort"]
