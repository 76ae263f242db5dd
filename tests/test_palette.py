"""Colours of labels: told apart by everybody, and given in order."""

import itertools
import math

import numpy as np
import pytest
from fastapi.testclient import TestClient

from backend.domain.labels import LIVER, PALETTE, next_colour

BLINDNESS = {
    "none": np.eye(3),
    "protan": [
        [0.11238, 0.88762, 0],
        [0.11238, 0.88762, 0],
        [0.00401, -0.00401, 1],
    ],
    "deutan": [
        [0.29275, 0.70725, 0],
        [0.29275, 0.70725, 0],
        [-0.02234, 0.02234, 1],
    ],
}
"""What dichromats see, in linear light (Viénot, Brettel & Mollon 1999)."""


@pytest.mark.parametrize("eyes", BLINDNESS)
def test_colours_stay_apart_for_colour_blind_eyes(eyes: str) -> None:
    def seen(colour: str) -> tuple[float, ...]:
        linear = (np.array([*bytes.fromhex(colour[1:])]) / 255) ** 2.2
        light = np.asarray(BLINDNESS[eyes]) @ linear
        return tuple(255 * np.maximum(light, 0) ** (1 / 2.2))

    preset = [label.colour for label in LIVER.labels]
    assert preset == list(PALETTE[: len(preset)])
    for one, other in itertools.combinations(PALETTE, 2):
        assert math.dist(seen(one), seen(other)) > 45, (one, other)


def test_the_next_colour_is_one_that_no_label_has() -> None:
    assert next_colour([]) == PALETTE[0]
    assert next_colour([PALETTE[0].lower(), PALETTE[2]]) == PALETTE[1]
    assert next_colour(PALETTE) == PALETTE[0]


def test_labels_added_without_a_colour_take_the_next(
    admin: TestClient, project: str
) -> None:
    before = admin.get(f"projects/{project}").json()["labels"]
    for name in ("peroxisome", "bile canaliculus"):
        path = f"projects/{project}/labels"
        assert admin.post(path, json={"name": name}).status_code == 201
    labels = admin.get(f"projects/{project}").json()["labels"]
    colours = [label["colour"].upper() for label in labels]
    assert len(labels) == len(before) + 2
    assert len(set(colours)) == len(labels)
    assert set(colours[-2:]) <= set(PALETTE)
