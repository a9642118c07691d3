"""Transforms of Albumentations on one decoded picture and its mask."""

from __future__ import annotations

import numpy as np
import pytest

from maecli.errors import SpecError
from maecli.modalities.pictures.modality import Pictures
from maecli.modalities.series.modality import Series
from maecli.schema import AugmentSpec

BYTES = (0.0, 255.0)


def spec(*chain):
    return AugmentSpec(chain=[{"p": 1.0, **each} for each in chain])


def sample(dtype=np.uint8, channels=3, size=(20, 30), mask_dtype=np.uint8):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (channels, *size)).astype(dtype)
    made = {"image": image, "mask": (image[0] // 64).astype(mask_dtype), "label": np.int64(3)}
    for name in ("image", "mask"):
        made[name].flags.writeable = False  # it belongs to a cache
    return made


def changed(one, *chain, seed=1, value_range=BYTES, void=255):
    return Pictures().prepare(one, spec(*chain), seed, value_range, void)


def test_a_mask_moves_with_its_picture_and_the_rest_stays():
    one = sample()
    made = changed(one, {"name": "VerticalFlip"}, {"name": "Transpose"})
    assert made["label"] == 3
    assert np.array_equal(made["image"], one["image"][:, ::-1].transpose(0, 2, 1))
    assert np.array_equal(made["mask"], one["mask"][::-1].T)


@pytest.mark.parametrize(
    "each",
    [
        {"name": "Affine", "rotate": [20, 30]},
        {"name": "ElasticTransform", "alpha": 50},
        {"name": "Perspective"},
        {"name": "RandomScale", "scale_limit": [0.3, 0.9]},
        {"name": "GridDistortion"},
    ],
    ids=lambda each: each["name"],
)
def test_no_class_is_made_up_between_two_others(each):
    one = sample()
    made = changed(one, each)
    assert set(np.unique(made["mask"])) <= {0, 1, 2, 3, 255}
    assert made["mask"].shape == made["image"].shape[1:]
    assert not np.array_equal(made["mask"], one["mask"])


@pytest.mark.parametrize(("dtype", "void"), [(np.uint8, 255), (np.int64, 255), (np.int32, -1), (np.uint16, 65535)])
def test_outside_is_void_unless_a_transform_is_told_otherwise(dtype, void):
    one = sample(mask_dtype=dtype)
    shift = {"name": "Affine", "translate_px": {"x": [10, 10], "y": [0, 0]}}
    made = changed(one, shift, void=void)
    assert made["mask"].dtype == dtype
    assert (made["mask"][:, :10] == void).all()
    assert np.array_equal(made["mask"][:, 10:], one["mask"][:, :-10])
    assert (changed(one, shift | {"fill_mask": 2}, void=void)["mask"][:, :10] == 2).all()


def test_what_is_dropped_from_a_picture_keeps_its_class():
    one = sample()
    made = changed(one, {"name": "CoarseDropout", "hole_height_range": [5, 5], "hole_width_range": [5, 5]})
    assert not np.array_equal(made["image"], one["image"])
    assert np.array_equal(made["mask"], one["mask"])


def test_a_mask_is_halved_from_the_centres_of_its_pixels():
    one = sample()
    made = changed(one, {"name": "Resize", "height": 10, "width": 10})
    assert np.array_equal(made["mask"], one["mask"][1::2, 1::3])


@pytest.mark.parametrize(
    ("dtype", "value_range"), [(np.uint16, (0.0, 65535.0)), (np.int32, (0.0, 255.0)), (np.float32, (-500.0, 1000.0))]
)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_other_numbers_than_bytes_come_back_in_their_range(dtype, value_range, channels):
    one = sample(dtype, channels)
    same = changed(one, {"name": "NoOp"}, value_range=value_range)
    assert same["image"].dtype == dtype
    assert np.abs(same["image"].astype(np.float64) - one["image"]).max() <= (0 if dtype != np.float32 else 1e-3)
    inverted = changed(one, {"name": "InvertImg"}, value_range=value_range)
    wanted = sum(value_range) - one["image"].astype(np.float64)
    assert np.abs(inverted["image"] - wanted).max() <= (0 if dtype != np.float32 else 1e-3)


def test_bytes_of_another_range_are_seen_in_full():
    """The digits of scikit-learn are bytes from 0 to 16."""
    one = sample()
    one["image"] = (one["image"] % 17).astype(np.uint8)
    assert np.array_equal(changed(one, {"name": "NoOp"}, value_range=(0.0, 16.0))["image"], one["image"])
    assert np.array_equal(changed(one, {"name": "InvertImg"}, value_range=(0.0, 16.0))["image"], 16 - one["image"])
    assert changed(one, {"name": "CLAHE"}, value_range=(0.0, 16.0))["image"].max() <= 16


def test_a_range_per_channel():
    one = sample(np.float32, 2)
    made = changed(one, {"name": "InvertImg"}, value_range=((0.0, 255.0), (0.0, 510.0)))
    assert np.allclose(made["image"], np.array([255, 510]).reshape(2, 1, 1) - one["image"], atol=1e-3)


def test_the_seed_is_all_the_chance_there_is():
    one, chain = sample(), [{"name": "ElasticTransform"}, {"name": "GaussNoise"}, {"name": "ColorJitter", "p": 0.5}]
    first = changed(one, *chain, seed=1)
    changed(one, *chain, seed=2)
    np.random.seed(7)
    again = changed(one, *chain, seed=1)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(changed(one, *chain, seed=2)["image"], first["image"])


@pytest.mark.parametrize(
    ("each", "message"),
    [
        ({"name": "GausianBlur"}, "Albumentations has no transform 'GausianBlur'; did you mean 'GaussianBlur'?"),
        ({"name": "OneOf"}, "Albumentations has no transform 'OneOf'"),
        ({"name": "CLAHE", "clip_limits": 2}, "CLAHE has no 'clip_limits'; did you mean 'clip_limit'?"),
        ({"name": "CLAHE", "strength": 2}, "CLAHE has no 'strength'; it has clip_limit, tile_grid_size, p"),
        (
            {"name": "Rotate", "mask_interpolation": 1},
            "Rotate has no 'mask_interpolation'; did you mean 'interpolation'?",
        ),
        ({"name": "CLAHE", "p": 3}, "CLAHE has p 3: input should be less than or equal to 1"),
        ({"name": "Resize", "height": 3}, "Resize lacks width"),
        (
            {"name": "CropAndPad"},
            "CropAndPad refuses its parameters: both px and percent parameters cannot be None simultaneously",
        ),
        *(
            (
                {"name": name},
                f"{name} needs more than a picture and its mask, or changes dtype or channels; leave it out",
            )
            for name in [
                "Mosaic",
                "FDA",
                "TextImage",
                "BBoxSafeRandomCrop",
                "Pad3D",
                "ToFloat",
                "Normalize",
                "ToTensorV2",
                "Lambda",
            ]
        ),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_what_is_no_chain_for_pictures_is_refused(each, message):
    with pytest.raises(SpecError) as caught:
        Pictures().check_augment(AugmentSpec(chain=[each]))
    assert str(caught.value) == f"augment.chain: {message}"


def test_other_modalities_know_no_chain():
    with pytest.raises(
        SpecError, match=r"augment\.chain does not suit series, which know crop, crop_scale, flip; leave"
    ):
        Series().check_augment(AugmentSpec(chain=[{"name": "CLAHE"}]))


def test_what_a_transform_refuses_is_one_sentence():
    with pytest.raises(SpecError) as caught:
        changed(sample(channels=5), {"name": "CLAHE"})
    assert str(caught.value) == (
        "augment.chain: CLAHE cannot change a picture (5, 20, 30) of uint8: CLAHE transformation expects 1-channel or "
        "3-channel images"
    )
    with pytest.raises(SpecError, match=r"RandomCrop cannot change a picture \(3, 20, 30\) of uint8: "):
        changed(sample(), {"name": "RandomCrop", "height": 64, "width": 64})
    with pytest.raises(SpecError, match=r"MaskDropout cannot change .* requires \['mask'\]"):
        changed({"image": sample()["image"]}, {"name": "MaskDropout"})


def test_missing_cells_are_refused():
    holes = sample(np.float32)["image"].copy()
    holes[0, 0, 0] = np.nan
    for one in ({"image": holes}, sample() | {"valid": np.ones((20, 30), bool)}):
        with pytest.raises(SpecError, match="does not suit pictures with missing cells"):
            changed(one, {"name": "Blur"})


def test_numbers_that_no_mask_can_carry_through_are_refused():
    one = sample(mask_dtype=np.int64)
    one["mask"] = one["mask"] + 2**24 + 1
    with pytest.raises(SpecError, match="does not suit masks with numbers above 16,777,216"):
        changed(one, {"name": "Blur"})
