from __future__ import annotations

import numpy as np
import pytest

from maecli.data.sample import Split
from maecli.data.splits import place
from maecli.errors import BrokenSample, DataError, Fault
from maecli.modalities.pictures import statistics
from maecli.modalities.pictures.statistics import sampled_channel_stats


class Levels(Split):
    """Grey pictures, each of one level; None cannot be read."""

    def __init__(self, *levels):
        self.levels, self.sides = levels, []

    @property
    def keys(self):
        return [f"{i}.png" for i in range(len(self.levels))]

    def __getitem__(self, index):
        raise AssertionError("whole pictures are not needed")

    def small(self, index, at_least):
        self.sides.append(at_least)
        if self.levels[index] is None:
            raise BrokenSample(self.keys[index], "empty file")
        return np.full((1, 2, 3), self.levels[index])


def test_mean_and_deviation_are_in_units_of_the_range(tmp_path):
    split = Levels(0, 102)
    found = sampled_channel_stats(split, tmp_path, (0.0, 255.0))
    assert (found.num, found.value_range, [*found.faults]) == (2, (0.0, 255.0), [])
    assert (*found.mean, *found.std) == pytest.approx((0.2, 0.2))
    assert split.sides == [256, 256]


def test_no_more_than_256_pictures_are_decoded_those_first_in_the_line_of_the_fixed_seed(tmp_path, monkeypatch):
    split = Levels(*np.linspace(0, 1, 300))
    assert sampled_channel_stats(split, tmp_path, (0.0, 1.0)).num == len(split.sides) == 256
    monkeypatch.setattr(statistics, "NUM_DECODED", 1)
    first = min(range(300), key=lambda i: place(f"{i}.png"))
    assert sampled_channel_stats(split, tmp_path, (0.0, 1.0)).mean == pytest.approx((first / 299,))


@pytest.mark.parametrize(
    ("levels", "value_range"), [((0.2, 0.8), (0, 1)), ((-3.0, 5.0), (-3, 5)), ((7.0, 7.0), (7, 8))]
)
def test_the_range_is_what_the_pictures_reach_if_it_is_not_given(tmp_path, levels, value_range):
    assert sampled_channel_stats(Levels(*levels), tmp_path, None).value_range == value_range


@pytest.mark.parametrize("value_range", [(0.0, 1.0), None])
def test_broken_pictures_are_left_out_and_told(tmp_path, value_range):
    found = sampled_channel_stats(Levels(None, 0.5), tmp_path, value_range)
    assert (found.num, found.mean, [*found.faults]) == (1, (0.5,), [Fault("0.png", "empty file")])


@pytest.mark.parametrize("value_range", [(0.0, 1.0), None])
def test_a_set_without_a_readable_picture_is_refused(tmp_path, value_range):
    words = rf"^none of the 1 train pictures tried in {tmp_path} can be decoded; 0.png, for one: empty file$"
    with pytest.raises(DataError, match=words):
        sampled_channel_stats(Levels(None), tmp_path, value_range)
    with pytest.raises(DataError, match=rf"^none of the 0 train pictures tried in {tmp_path} can be decoded$"):
        sampled_channel_stats(Levels(), tmp_path, value_range)
