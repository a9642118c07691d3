from __future__ import annotations

from pathlib import Path

import pytest

from maecli.weights.files import WeightFile
from maecli.weights.pixels import PixelScale, scale_on_record, size_on_record

MEAN, STD = [0.5, 0.4, 0.3], [0.25, 0.2, 0.1]


def file_with(pixels=None, config=None) -> WeightFile:
    return WeightFile(Path("file"), "safetensors", {}, config=config or {}, pixels=pixels or {})


@pytest.mark.parametrize(
    ("pixels", "config"),
    [
        ({"image_mean": MEAN, "image_std": STD}, {}),
        (
            {"image_mean": MEAN, "image_std": STD, "rescale_factor": 1 / 255},
            {"pretrained_cfg": {"mean": [0], "std": [1]}},
        ),
        ({"image_mean": [255 * m for m in MEAN], "image_std": [255 * s for s in STD], "do_rescale": False}, {}),
        ({}, {"pretrained_cfg": {"mean": MEAN, "std": STD}}),
    ],
)
def test_mean_and_deviation_are_of_values_of_0_to_1(pixels, config):
    scale = scale_on_record(file_with(pixels, config), 3)
    assert scale is not None
    assert scale.mean == pytest.approx(MEAN)
    assert scale.std == pytest.approx(STD)


def test_pixels_that_are_not_normalised_are_only_scaled():
    as_they_are = file_with({"do_normalize": False, "image_mean": MEAN, "image_std": STD})
    assert scale_on_record(as_they_are, 3) == PixelScale((0.0,), (1.0,))
    to_two = scale_on_record(file_with({"do_normalize": False, "rescale_factor": 2 / 255}), 3)
    assert to_two is not None
    assert to_two.std == pytest.approx([0.5])  # x / .5 is 0 to 2


@pytest.mark.parametrize(
    "pixels",
    [
        {},
        {"image_mean": MEAN},
        {"image_mean": MEAN, "image_std": [0.2, 0.0, 0.2]},
        {"image_mean": MEAN[:2], "image_std": STD[:2]},
        {"image_mean": "imagenet", "image_std": STD},
        {"image_mean": MEAN, "image_std": STD, "rescale_factor": 0},
        {"image_mean": MEAN, "image_std": STD, "rescale_factor": "1/255"},
    ],
)
def test_what_cannot_be_a_normalisation_is_none(pixels):
    assert scale_on_record(file_with(pixels), 3) is None


@pytest.mark.parametrize(
    ("pixels", "config", "size"),
    [
        ({"size": {"height": 64, "width": 32}}, {}, (64, 32)),
        ({"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}, {}, (64, 64)),
        ({"size": 64, "crop_size": 32, "do_center_crop": False}, {}, (64, 64)),
        ({}, {"pretrained_cfg": {"input_size": [3, 64, 32]}}, (64, 32)),
        ({"size": {"height": 60, "width": 64}}, {}, ()),
        ({}, {}, ()),
    ],
)
def test_pictures_have_the_size_on_record_where_it_is_of_whole_patches(pixels, config, size):
    assert size_on_record(file_with(pixels, config), (8, 8)) == size
