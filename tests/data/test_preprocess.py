from __future__ import annotations

import numpy as np
import pytest
import torch

from maecli.data.batch import Batch
from maecli.data.card import DataCard
from maecli.data.preprocess import Preprocess
from maecli.data.randomness import Draws
from maecli.errors import SpecError
from maecli.modalities.pictures.fit import crop_and_resize, crop_and_resize_mask


def card(channels=1, **changes):
    settings = {
        "name": "tiny",
        "title": "a tiny set",
        "fields": ("image",),
        "channels": channels,
        "size": (4, 4),
        "mean": (0.5,) * channels,
        "std": (0.25,) * channels,
        "split_sizes": {"train": 8},
        "split_origin": "made up",
    }
    return DataCard.model_validate(settings | changes)


def test_what_is_not_given_comes_from_the_card():
    preprocess = Preprocess.of(card(3, mean=(0.1, 0.2, 0.3), value_range=(0.0, 1023.0)), (8, 6))
    assert preprocess == Preprocess((8, 6), 3, (0.0, 1023.0), (0.1, 0.2, 0.3), (0.25, 0.25, 0.25))


def test_one_mean_serves_every_channel():
    preprocess = Preprocess.of(card(3), (4, 4), mean=(0.4,), std=(0.2,))
    assert preprocess.mean == (0.4, 0.4, 0.4)
    assert preprocess.std == (0.2, 0.2, 0.2)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"channels": 1}, r"data\.channels \(1\) differs from the 3 channels of tiny; only single-channel data can be"),
        ({"mean": (0.5, 0.5)}, r"data\.mean has 2 values for 3 channels"),
        ({"std": (0.5, 0.5)}, r"data\.std has 2 values for 3 channels"),
        ({"std": (0.5, 0.0, 0.5)}, r"data\.std \(0\.5, 0\.0, 0\.5\) must be above 0"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_refused(settings, text):
    with pytest.raises(SpecError, match=text):
        Preprocess.of(card(3), (4, 4), **settings)


def test_pixels_map_the_datas_range_to_zero_and_one():
    preprocess = Preprocess.of(card(value_range=(-1000.0, 3000.0)), (2, 2))
    raw = torch.tensor([-1000, 0, 1000, 3000], dtype=torch.int16).reshape(1, 1, 2, 2)
    pixels = preprocess.pixels(raw)
    assert pixels.dtype == torch.float32
    assert pixels.flatten().tolist() == [0, 0.25, 0.5, 1]


def test_to_pixels_is_the_inverse_of_normalize():
    preprocess = Preprocess.of(card(3, mean=(0.1, 0.2, 0.3), std=(0.2, 0.3, 0.4)), (5, 4))
    pixels = torch.rand(2, 3, 5, 4)
    x = preprocess.normalize(pixels)
    assert torch.allclose(x[:, 1], (pixels[:, 1] - 0.2) / 0.3)
    assert torch.allclose(preprocess.to_pixels(x), pixels, atol=1e-6)


@pytest.mark.parametrize("size", [(6,), (2, 3, 4)])
def test_series_and_volumes_are_normalised_per_channel_too(size):
    preprocess = Preprocess.of(card(2, mean=(0.0, 1.0), std=(1.0, 2.0), size=size), size)
    x = preprocess.normalize(torch.ones(1, 2, *size))
    assert x[:, 0].eq(1).all()
    assert x[:, 1].eq(0).all()


def test_a_grey_channel_is_copied_and_each_copy_normalised():
    preprocess = Preprocess.of(card(), (2, 2), channels=3, mean=(0.0, 0.5, 1.0), std=(1.0, 1.0, 0.5))
    x = preprocess.normalize(torch.full((1, 1, 2, 2), 0.5))
    assert preprocess.in_chans == 3
    assert x[0, :, 0, 0].tolist() == [0.5, 0, -1]


def test_a_picture_of_the_models_size_is_not_resized():
    pixels = torch.rand(1, 1, 4, 4)
    assert Preprocess.of(card(), (4, 4)).resize(pixels) is pixels


def test_shrinking_averages_so_that_no_pixel_is_passed_over():
    checks = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(8, 8).reshape(1, 1, 16, 16)
    small = Preprocess.of(card(size=(16, 16)), (4, 4)).resize(checks)
    assert (small - 0.5).abs().max() < 0.05


@pytest.mark.parametrize(("size", "new_size"), [((6,), (3,)), ((4, 4, 4), (2, 2, 8))])
def test_series_and_volumes_are_resized(size, new_size):
    preprocess = Preprocess.of(card(size=size), new_size)
    out = preprocess.resize(torch.full((2, 1, *size), 0.3))
    assert out.shape == (2, 1, *new_size)
    assert torch.allclose(out, torch.full_like(out, 0.3))


@pytest.mark.parametrize(
    ("shape", "size", "part"),
    [
        ((4, 8), (4, 4), (slice(0, 4), slice(2, 6))),
        ((8, 4), (4, 4), (slice(2, 6), slice(0, 4))),
        ((6, 9), (2, 3), (slice(0, 6), slice(0, 9))),
        ((9, 9), (3, 9), (slice(3, 6), slice(0, 9))),
    ],
)
def test_the_largest_centred_part_of_the_targets_proportions_is_taken(shape, size, part):
    image = np.zeros((1, *shape), np.uint8)
    image[(slice(None), *part)] = 200
    assert crop_and_resize(image, size).unique().tolist() == [200]
    rows, columns = part
    image[:, rows.start, columns.start] = image[:, rows.stop - 1, columns.stop - 1] = 0
    corners = crop_and_resize(image, size)[0]
    assert corners[0, 0] < 200
    assert corners[-1, -1] < 200


def test_a_part_of_the_targets_size_is_cut_out_exactly():
    image = np.arange(2 * 4 * 8, dtype=np.uint16).reshape(2, 4, 8)
    assert crop_and_resize(image, (4, 4)).tolist() == image[:, :, 2:6].tolist()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(np.uint8, torch.uint8), (np.int16, torch.int16), (np.uint16, torch.int32), (np.float32, torch.float32)],
)
@pytest.mark.parametrize("size", [(4, 4), (3, 3)])
def test_resizing_keeps_the_dtype_and_stays_within_its_range(dtype, expected, size):
    image = np.zeros((1, 4, 4), dtype)
    image[:, :2] = 255
    out = crop_and_resize(image, size)
    assert out.dtype == expected
    assert (int(out.min()), int(out.max())) == (0, 255)


def test_a_single_pixel_becomes_a_flat_picture():
    assert crop_and_resize(np.full((1, 1, 1), 7, np.uint8), (5, 3)).tolist() == [[[7] * 3] * 5]


def test_a_very_wide_picture_is_cut_before_it_is_resized():
    image = np.zeros((1, 10, 20_000), np.uint8)
    image[:, :, 9_995:10_005] = 50
    assert crop_and_resize(image, (8, 8)).eq(50).all()


def test_a_mask_keeps_to_its_picture_and_to_its_numbers():
    mask = np.zeros((4, 8), np.uint8)
    mask[:, 2:4], mask[:, 4:6] = 3, 255
    assert crop_and_resize_mask(mask, (4, 4)).tolist() == mask[:, 2:6].tolist()
    enlarged = crop_and_resize_mask(mask, (8, 8))
    assert enlarged.tolist() == np.kron(mask[:, 2:6], np.ones((2, 2), np.uint8)).tolist()
    batch = Preprocess((8, 8), 1, (0.0, 255.0), (0.0,), (1.0,)).resize_mask(torch.from_numpy(mask)[None])
    assert batch[0].equal(enlarged)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_large_picture_is_resized_plane_by_plane_to_the_same_numbers(dtype, monkeypatch):
    picture = np.random.default_rng(0).integers(0, 256, (3, 61, 47)).astype(dtype)
    whole = crop_and_resize(picture, (8, 12))
    monkeypatch.setattr("maecli.modalities.pictures.fit.BAND", 100)
    assert crop_and_resize(picture, (8, 12)).equal(whole)


def batch(image, **tensors):
    return Batch({"image": image, **tensors}, Draws(0, 0, torch.arange(len(image))))


def test_mean_pixels_average_every_sample_of_all_batches_alike():
    preprocess = Preprocess.of(card(), (1, 2))
    pixels = [torch.tensor([[[[0.0, 0.5]]], [[[0.2, 0.5]]]]), torch.ones(2, 1, 1, 2)]
    batches = [batch(preprocess.normalize(part)) for part in pixels]
    assert torch.allclose(preprocess.mean_pixels(batches), torch.tensor([[[0.55, 0.75]]]))
    assert preprocess.mean_pixels([]) is None


def test_mean_pixels_are_of_cells_that_exist_and_else_of_the_channel():
    preprocess = Preprocess.of(card(mean=(0.4,)), (1, 3))
    pixels = torch.tensor([[[[0.0, 0.5, 7.0]]], [[[0.2, torch.nan, 7.0]]]])
    valid = torch.tensor([[[[True, True, False]]], [[[True, False, False]]]])
    batches = [batch(preprocess.normalize(pixels), valid=valid), batch(preprocess.normalize(pixels), valid=valid)]
    assert preprocess.mean_pixels(batches).flatten().tolist() == pytest.approx([0.1, 0.5, 0.4])
