"""Masks: run lengths, validation, training targets, value maps, packing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from backend.domain import masks
from backend.domain.errors import Invalid
from backend.domain.geometry import Box
from backend.domain.labels import LIVER
from backend.domain.masks import LabelRuns

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)
BINARY = hnp.arrays(np.bool_, SHAPES)
RASTERS = hnp.arrays(np.uint8, SHAPES, elements=st.sampled_from([0, 1, 2, 4, 254, 255]))

# Worked out by hand from the definition, for a 9 x 10 mask: the string holds a number
# of two groups (40), a negative difference (-35) and one whose top bit would pass for
# a sign, so that it needs a further group (16).
COUNTS = [6, 1, 40, 4, 5, 4, 5, 4, 21]
STRING = "61X13mN000`0"


def test_runs_are_column_major_and_begin_with_zeros() -> None:
    mask = np.array([[0, 1, 1], [0, 0, 1]], bool)
    assert masks.encode_runs(mask) == [2, 1, 1, 2]
    assert masks.encode_runs(~mask) == [0, 2, 1, 1, 2]
    assert masks.encode_runs(np.zeros((2, 3), bool)) == [6]


def test_the_string_form_agrees_with_a_vector_made_by_hand() -> None:
    assert masks.compress_counts(COUNTS) == STRING
    assert masks.expand_counts(STRING) == COUNTS
    mask = masks.decode_runs(STRING, (9, 10))
    assert np.flatnonzero(mask.ravel(order="F")).tolist() == [
        6, *range(47, 51), *range(56, 60), *range(65, 69),
    ]  # fmt: skip


@given(BINARY)
def test_binary_masks_survive_both_forms(mask: masks.Binary) -> None:
    counts = masks.encode_runs(mask)
    shape = (mask.shape[0], mask.shape[1])
    assert np.array_equal(masks.decode_runs(counts, shape), mask)
    text = masks.compress_counts(counts)
    assert np.array_equal(masks.decode_runs(text, shape), mask)


@given(st.lists(st.integers(0, 2**40), max_size=40))
def test_counts_of_any_size_survive_the_string(counts: list[int]) -> None:
    assert masks.expand_counts(masks.compress_counts(counts)) == counts


@given(RASTERS)
def test_rasters_survive_as_label_runs_and_packed(raster: masks.Raster) -> None:
    shape = (raster.shape[0], raster.shape[1])
    items = masks.encode_labels(raster)
    assert [item.value for item in items] == sorted(set(raster.ravel().tolist()) - {0})
    assert np.array_equal(masks.decode_labels(items, shape), raster)
    assert np.array_equal(masks.unpack(masks.pack(raster), shape), raster)


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ([5], "cover 5 pixels"),
        ([7], "0 to the mask's 6"),
        ([-1, 7], "whole numbers"),
        ([2**64, 6], "whole numbers"),
        ([1.5, 4.5], "whole numbers"),
        ([], "cover 0 pixels"),
        ([0, 1] * 6, "12 runs for 6 pixels"),
        ("6\n", "not COCO RLE"),
        ("é", "not COCO RLE"),
        ("X", "ends within a number"),
        ("o" * 5000, "not COCO RLE"),
    ],
)
def test_damaged_runs_name_field_and_mend(counts: masks.Counts, says: str) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        masks.decode_labels([LabelRuns(1, counts)], (2, 3))
    assert caught.value.field == "rle/0/counts"


@given(st.text(max_size=30))
def test_any_string_is_runs_or_invalid(text: str) -> None:
    try:
        mask = masks.decode_runs(text, (4, 5))
    except Invalid:
        return
    assert mask.shape == (4, 5)


def test_two_labels_on_one_pixel_are_refused() -> None:
    items = [LabelRuns(1, [0, 4, 2]), LabelRuns(2, [3, 3])]
    with pytest.raises(Invalid, match="1 pixels of value 2") as caught:
        masks.decode_labels(items, (2, 3))
    assert caught.value.field == "rle/1/counts"


@pytest.mark.parametrize("value", [0, -1, 256])
def test_values_outside_the_raster_are_refused(value: int) -> None:
    with pytest.raises(Invalid, match="no raster value") as caught:
        masks.decode_labels([LabelRuns(value, [6])], (2, 3))
    assert caught.value.field == "rle/0/value"


BOX = Box(512, 1024, 3, 4)


def test_a_label_may_be_painted_without_being_complete() -> None:
    mask = np.array([[0, 1, 2, 255]] * 3, np.uint8)
    masks.validate(mask, BOX, LIVER, {4})
    masks.validate(mask, BOX, LIVER, ())


@pytest.mark.parametrize(
    ("mask", "complete_for", "field", "says"),
    [
        (np.zeros((4, 3), np.uint8), {1}, "mask", "is 4 x 3 but the tile is 3 x 4"),
        (np.zeros((3, 4, 3), np.uint8), {1}, "mask", "3 x 4 x 3"),
        (np.uint8(0), {1}, "mask", "a single number"),
        (np.zeros((3, 4), np.int64), {1}, "mask", "int64"),
        (np.zeros((3, 4), np.float32), {1}, "mask", "float32"),
        (np.zeros((3, 4), np.bool_), {1}, "mask", "bool"),
        (np.full((3, 4), 6, np.uint8), {1}, "mask", "holds 6,"),
        (np.full((3, 4), 254, np.uint8), {1}, "mask", "holds 254,"),
        (np.zeros((3, 4), np.uint8), {1, 9, 7}, "complete_for", "names 7, 9,"),
        (np.zeros((3, 4), np.uint8), {0}, "complete_for", "names 0,"),
        (np.zeros((3, 4), np.uint8), {255}, "complete_for", "names 255,"),
    ],
)
def test_wrong_masks_name_field_and_mend(
    mask: masks.Raster, complete_for: set[int], field: str, says: str
) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        masks.validate(mask, BOX, LIVER, complete_for)
    assert caught.value.field == field


def test_many_unknown_values_are_listed_briefly() -> None:
    mask = np.arange(100, 112, dtype=np.uint8).reshape(3, 4)
    with pytest.raises(Invalid, match=r"100, .* 109 and 2 more"):
        masks.validate(mask, BOX, LIVER, ())


def test_zero_is_background_only_when_every_label_was_looked_for() -> None:
    mask = np.array([[0, 4, 255]], np.uint8)
    whole = masks.training_target(mask, LIVER.values, LIVER)
    assert whole.tolist() == [[0, 4, 255]]
    part = masks.training_target(mask, {1, 2, 3, 4}, LIVER)
    assert part.tolist() == [[255, 4, 255]]
    assert part.dtype == whole.dtype == np.uint8
    assert not np.shares_memory(whole, mask)


def test_zero_may_be_what_nobody_looked_for() -> None:
    assert masks.zero_may_be((4,), LIVER.values) == {0, 1, 2, 3, 5}
    assert masks.zero_may_be(LIVER.values, LIVER.values) == {0}
    assert masks.zero_may_be((), LIVER.values) == {0, *LIVER.values}
    # labels that were looked for once and are gone change nothing
    assert masks.zero_may_be((1, 2, 3, 4, 5, 99), LIVER.values) == {0}


@pytest.mark.parametrize(
    ("revisions", "left"),
    [
        ([], {0, 1, 2, 3, 4, 5}),
        ([([255], (4,))], {0, 1, 2, 3, 4, 5}),
        ([([0, 0], ())], {0, 1, 2, 3, 4, 5}),
        ([([0], (4,))], {0, 1, 2, 3, 5}),
        ([([0], (4,)), ([2], ())], {2}),
        ([([0], (4,)), ([0], LIVER.values)], {0}),
        ([([0], (4,)), ([0], (1, 2, 3, 5))], {0}),
        ([([4, 255], (4,))], {4}),
        ([([0, 4], ())], {4}),
        ([([0, 4], (4,))], set()),
        ([([1], ()), ([2], ())], set()),
    ],
)
def test_what_no_pixel_rules_out_is_left(
    revisions: list[tuple[list[int], tuple[int, ...]]], left: set[int]
) -> None:
    seen = [
        (np.array([values], np.uint8), masks.zero_may_be(complete_for, LIVER.values))
        for values, complete_for in revisions
    ]
    assert masks.never_ruled_out(seen, LIVER.values) == left


def test_value_maps_rename_every_value() -> None:
    raster = np.array([[0, 700], [3, 9]], np.uint16)
    mapped = masks.apply_value_map(raster, {0: 255, 700: 4, 3: 0, 9: 4, 8: 1})
    assert mapped.tolist() == [[255, 4], [0, 4]]
    assert mapped.dtype == np.uint8


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({0: 0, 3: 2}, "says nothing of 9, 700"),
        ({0: 0, 3: 2, 9: 256, 700: -1}, "leads to -1, 256"),
    ],
)
def test_value_maps_guess_nothing(mapping: dict[int, int], says: str) -> None:
    raster = np.array([[0, 700], [3, 9]], np.uint16)
    with pytest.raises(Invalid, match=says) as caught:
        masks.apply_value_map(raster, mapping)
    assert caught.value.field == "value_map"


@pytest.mark.parametrize("shape", [(2, 2), (4, 3), (3, 5)])
def test_damaged_packs_are_noticed(shape: tuple[int, int]) -> None:
    packed = masks.pack(np.ones((3, 4), np.uint8))
    if shape[0] * shape[1] != 12:
        with pytest.raises(ValueError, match="does not hold"):
            masks.unpack(packed, shape)
    with pytest.raises(ValueError, match="stored raster"):
        masks.unpack(packed[:-1], (3, 4))
    with pytest.raises(ValueError, match="damaged"):
        masks.unpack(b"no zlib", (3, 4))
