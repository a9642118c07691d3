from __future__ import annotations

import pytest
from maecli_plugins.datasets.folder.arrays import Undecided, layouts_of


def layouts(*shapes, channels=None) -> list[str]:
    return [layouts_of(dict.fromkeys(shapes, 1), channels)[shape] for shape in shapes]


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((3, 64, 64), "chw"),
        ((64, 64, 3), "hwc"),
        ((1, 28, 28), "chw"),
        ((28, 28, 1), "hwc"),
        ((13, 64, 64), "chw"),
        ((64, 64, 13), "hwc"),
        ((6, 7, 5), "hwc"),
        ((64, 512, 512), "chw"),
        ((610, 340, 103), "hwc"),
        ((3, 32, 500), "chw"),
        ((32, 500, 3), "hwc"),
    ],
    ids=str,
)
def test_one_shape_is_read_with_few_channels(shape, layout):
    assert layouts(shape) == [layout]


@pytest.mark.parametrize(
    "shape", [(12, 8, 200), (9, 9, 200), (200, 9, 9), (16, 16, 200), (64, 128, 200), (8, 8, 8), (64, 8, 64)], ids=str
)
def test_a_shape_that_can_be_read_in_two_ways_is_undecided(shape):
    with pytest.raises(Undecided):
        layouts(shape)


def test_both_readings_are_named():
    with pytest.raises(Undecided) as caught:
        layouts((12, 8, 200))
    assert str(caught.value) == "(12, 8, 200) may be 12×8 pixels of 200 channels (hwc) or 8×200 pixels of 12 (chw)"


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(12, 8, 200), (10, 9, 200)], ["hwc", "hwc"]),
        ([(12, 64, 200), (13, 70, 200)], ["hwc", "hwc"]),
        ([(200, 8, 12), (200, 9, 10)], ["chw", "chw"]),
        ([(64, 40, 3), (64, 50, 3)], ["hwc", "hwc"]),
        ([(3, 64, 40), (3, 64, 50)], ["chw", "chw"]),
        ([(64, 64, 3), (64, 64, 4)], ["hwc", "hwc"]),
        ([(3, 64, 64), (64, 64, 3)], ["chw", "hwc"]),
        ([(3, 64, 64), (3, 60, 64), (3, 3, 3)], ["chw", "chw", "chw"]),
        ([(64, 64, 5), (5, 6, 9)], ["hwc", "chw"]),
    ],
    ids=str,
)
def test_the_axis_that_is_equal_in_all_arrays_holds_the_channels(shapes, expected):
    assert layouts(*shapes) == expected


def test_known_channels_decide():
    assert layouts((12, 8, 200), channels=200) == ["hwc"]
    assert layouts((12, 8, 200), channels=12) == ["chw"]
    assert layouts((8, 8, 8), (8, 5, 6), channels=8) == ["chw", "chw"]
    assert layouts((64, 64, 3), channels=4) == ["hwc"]
    with pytest.raises(Undecided):
        layouts((8, 8, 8), channels=8)


def test_a_few_odd_arrays_are_read_as_the_others():
    assert layouts_of({(64, 64, 3): 2, (12, 8, 200): 1}, None) == {(64, 64, 3): "hwc", (12, 8, 200): "hwc"}
    with pytest.raises(Undecided):
        layouts_of({(64, 64, 3): 2, (12, 8, 200): 2}, None)
