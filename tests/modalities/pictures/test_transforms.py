from __future__ import annotations

import numpy as np
import pytest
import torch

from maecli.errors import SpecError
from maecli.modalities.pictures.transforms import TrainTransform
from maecli.schema import AugmentSpec


def sample(height=8, width=8, channels=3, dtype=np.uint8):
    """A picture whose first channel is its mask times 16."""
    mask = np.random.default_rng(0).integers(0, 15, (height, width), dtype=np.uint8)
    image = np.repeat(mask[None] * 16, channels, axis=0).astype(dtype)
    return {"image": image, "mask": mask, "label": np.int64(5)}


def test_picture_and_mask_move_together():
    spec = AugmentSpec(crop="random-resized", crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=True)
    change = TrainTransform(spec, (8, 8), 0)
    mirrored = 0
    for index in range(20):
        out = change(sample(), 0, index)
        assert (out["image"][0] // 16).equal(out["mask"])
        mirrored += not out["mask"].equal(torch.from_numpy(sample()["mask"]))
    assert 4 <= mirrored <= 16


@pytest.mark.parametrize("size", [20, 180])
def test_a_resized_mask_does_not_shift_against_its_picture(size):
    columns = np.tile(np.arange(60, dtype=np.uint8), (60, 1))
    ramp = {"image": 4 * columns[None], "mask": columns}
    out = TrainTransform(AugmentSpec(), (size, size), 0)(ramp, 0, 0)
    assert (out["image"][0].float() / 4 - out["mask"]).abs().max() <= 0.5
    assert float((out["image"][0].float() / 4 - out["mask"]).mean()) == pytest.approx(0, abs=0.05)


def test_other_fields_are_left_alone():
    assert int(TrainTransform(AugmentSpec(), (4, 4), 0)(sample(), 0, 0)["label"]) == 5


def test_a_sample_is_changed_by_seed_epoch_and_position_alone():
    spec = AugmentSpec(crop="scale-jitter", flip=True, color=0.4)
    first, other = TrainTransform(spec, (8, 8), 0), TrainTransform(spec, (8, 8), 0)
    other(sample(), 7, 7)  # what came before does not matter
    for epoch, index in [(0, 0), (0, 1), (1, 0)]:
        one, two = first(sample(20, 30), epoch, index), other(sample(20, 30), epoch, index)
        assert all(one[name].equal(two[name]) for name in one)
    assert not first(sample(20, 30), 0, 0)["image"].equal(first(sample(20, 30), 1, 0)["image"])
    assert not first(sample(20, 30), 0, 0)["image"].equal(
        TrainTransform(spec, (8, 8), 1)(sample(20, 30), 0, 0)["image"]
    )


@pytest.mark.parametrize(
    ("size", "out"), [((8, 16), (8, 8)), ((40, 6), (8, 4)), ((1, 1), (4, 4)), ((10, 2000), (8, 8))]
)
@pytest.mark.parametrize("crop", ["none", "random-resized", "scale-jitter"])
def test_every_shape_of_picture_gets_the_models_size(size, out, crop):
    for index in range(8):
        changed = TrainTransform(AugmentSpec(crop=crop), out, 0)(sample(*size), 0, index)
        assert changed["image"].shape == (3, *out)
        assert changed["mask"].shape == out
        assert set(changed["mask"].unique().tolist()) <= {*range(15), 255}


def test_outside_the_picture_is_black_and_void():
    spec = AugmentSpec(crop="scale-jitter", jitter_scale=(0.5, 0.5))
    white = {"image": np.full((1, 8, 8), 200, np.uint8), "mask": np.full((8, 8), 3, np.uint8)}
    out = TrainTransform(spec, (8, 8), 0)(white, 0, 0)
    assert int((out["mask"] == 3).sum()) == 16
    assert float(out["image"].float().sum()) == pytest.approx(16 * 200)  # the rim may fall between two pixels
    assert (out["image"] == 0).any()


@pytest.mark.parametrize(
    ("channels", "dtype", "expected"),
    [
        (1, np.uint8, torch.uint8),
        (1, np.uint16, torch.int32),
        (6, np.uint8, torch.uint8),
        (2, np.int16, torch.int16),
        (1, np.int32, torch.int32),
        (4, np.float32, torch.float32),
    ],
)
def test_any_number_of_channels_and_any_kind_of_numbers_can_be_cut_and_resized(channels, dtype, expected):
    spec = AugmentSpec(crop="random-resized", flip=True)
    out = TrainTransform(spec, (4, 4), 0)(sample(12, 12, channels, dtype), 0, 0)
    assert out["image"].shape == (channels, 4, 4)
    assert out["image"].dtype == expected


def test_colours_are_changed_in_grey_and_rgb_pictures_of_8_bits_only():
    change = TrainTransform(AugmentSpec(color=0.5), (8, 8), 0)
    for channels in (1, 3):
        assert not change(sample(channels=channels), 0, 0)["image"].equal(
            torch.from_numpy(sample()["image"][:channels])
        )
    assert change(sample(), 0, 0)["mask"].equal(torch.from_numpy(sample()["mask"]))
    with pytest.raises(SpecError, match=r"^augment\.color changes 8-bit .* not 6 channels of uint8;"):
        change(sample(channels=6), 0, 0)
