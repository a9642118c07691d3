from __future__ import annotations

import math

import numpy as np
import pytest

from maecli.modalities.boxes import Box, centred_part, jittered_part, random_part, whole, window
from maecli.schema import AugmentSpec

SIZES = [(32, 32), (20, 60), (60, 20), (50,), (12, 20, 30)]


def draws(num, numbers):
    return np.random.default_rng(0).random((num, numbers)).tolist()


@pytest.mark.parametrize(
    ("shape", "size", "box"),
    [
        ((4, 8), (4, 4), Box((0, 2), (4, 4))),
        ((8, 4), (4, 4), Box((2, 0), (4, 4))),
        ((6, 9), (2, 3), Box((0, 0), (6, 9))),
        ((9, 9), (3, 9), Box((3, 0), (3, 9))),
        ((10, 20_000), (8, 8), Box((0, 9_995), (10, 10))),
        ((1, 1), (5, 3), Box((0, 0), (1, 1))),
        ((12, 8, 8), (4, 4, 4), Box((2, 0, 0), (8, 8, 8))),
    ],
)
def test_the_largest_centred_part_of_the_models_proportions(shape, size, box):
    assert centred_part(shape, size) == box


@pytest.mark.parametrize(
    ("shape", "numbers", "box"),
    [
        ((10,), (), Box((3,), (4,))),
        ((10,), (0.0,), Box((0,), (4,))),
        ((10,), (0.999,), Box((6,), (4,))),
        ((3,), (0.5,), Box((0,), (4,))),
        ((3, 9), (), Box((0, 2), (4, 4))),
    ],
)
def test_a_window_has_the_models_size_and_a_shorter_axis_begins_it(shape, numbers, box):
    assert window(shape, (4,) * len(shape), numbers) == box


def test_windows_by_chance_begin_at_every_place_alike():
    starts = [window((7,), (4,), numbers).starts[0] for numbers in draws(4000, 1)]
    assert np.abs(np.bincount(starts, minlength=4) / 4000 - 0.25).max() < 0.05


@pytest.mark.parametrize("shape", SIZES)
def test_random_parts_lie_inside_with_the_asked_share_of_cells(shape):
    spec = AugmentSpec(crop_scale=(0.2, 0.5), crop_ratio=(0.75, 4 / 3))
    shares = []
    for numbers in draws(1000, 2 + len(shape)):
        box = random_part(numbers, shape, spec)
        assert min(box.starts) >= 0
        assert all(start + part <= length for start, part, length in zip(*box, shape, strict=True))
        if all(part < length for part, length in zip(box.lengths, shape, strict=True)):
            shares.append(math.prod(box.lengths) / math.prod(shape))
    rounding = 0.04
    assert 0.2 - rounding <= min(shares) < 0.25
    assert 0.4 < max(shares) <= 0.5 + rounding


def test_the_proportions_of_random_parts_of_pictures_are_spread_evenly():
    spec = AugmentSpec(crop_scale=(0.1, 0.3))
    boxes = [random_part(numbers, (400, 400), spec) for numbers in draws(2000, 4)]
    ratios = np.array([box.lengths[1] / box.lengths[0] for box in boxes])
    assert 0.74 <= ratios.min() < 0.78
    assert 1.28 < ratios.max() <= 1.35
    assert np.log(ratios).mean() == pytest.approx(0, abs=0.02)


def test_random_parts_reach_every_border():
    boxes = [random_part(numbers, (32, 32), AugmentSpec(crop_scale=(0.1, 0.5))) for numbers in draws(3000, 4)]
    for axis in (0, 1):
        assert {box.starts[axis] for box in boxes} >= {0, 1}
        assert 32 in {box.starts[axis] + box.lengths[axis] for box in boxes}


@pytest.mark.parametrize("shape", SIZES[:3])
def test_jittered_parts_have_the_models_proportions_and_show_as_much_as_they_can(shape):
    spec = AugmentSpec(crop="scale-jitter", jitter_scale=(0.5, 2.0))
    scales = []
    for numbers in draws(1000, 3):
        box = jittered_part(numbers, shape, (16, 16), spec)
        assert abs(box.lengths[0] - box.lengths[1]) <= 1  # square pixels
        scales.append(min(shape) / box.lengths[0])
        for start, part, length in zip(*box, shape, strict=True):
            low, high = sorted((0, length - part))
            assert low <= start <= high
    assert 0.48 <= min(scales) < 0.53
    assert 1.9 < max(scales) <= 2.1


def test_all_of_a_sample():
    assert whole((3, 4)) == Box((0, 0), (3, 4))
