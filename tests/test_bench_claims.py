"""The bench of claims, in small: complete, and its pools are what they say.

No time is asserted here: what the machine can do is for the long run to say.
"""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the worker extra is not installed")

from bench import claims


def test_claims_of_two_pools(
    postgres_url: str, valkey_url: str, tmp_path: Path
) -> None:
    found = claims.measure(postgres_url, valkey_url, tmp_path, (200, 400), claims=8)
    assert [pool["tiles"] for pool in found] == [200, 400]
    for pool in found:
        assert pool["claims"] == 8
        assert 0 < pool["claim_ms"]["p50"] <= pool["claim_ms"]["p95"]
        assert pool["store_head_seconds"] > 0
        assert pool["gather_seconds"] > 0
        assert pool["start_seconds"] > 0
    assert found[0]["claim_p95_ratio"] == 1
    told = claims.summary(found)
    assert told["ratio"] == max(pool["claim_p95_ratio"] for pool in found)
    assert set(told["reached_each"]) == set(claims.TARGETS)


def test_a_pool_has_whole_images() -> None:
    with pytest.raises(SystemExit, match="100 tiles per image"):
        claims.images_of(150)
