from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from maecli.modalities import fit as fits
from maecli.modalities.boxes import Box, whole
from maecli.modalities.fit import as_tensor, fit, fit_alike, fit_batch

SHAPES = [((12,), (5,)), ((12, 9), (5, 7)), ((6, 9, 8), (3, 5, 8))]


def values(shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


def image(array, box, size):
    return fit({"image": array}, box, size)["image"]


def test_a_part_of_the_models_size_is_cut_out_exactly():
    array = values((2, 4, 8), np.uint16)
    assert image(array, Box((0, 2), (4, 4)), (4, 4)).tolist() == array[:, :, 2:6].tolist()


def test_shrinking_averages_so_that_no_cell_is_passed_over():
    checks = np.indices((16, 16)).sum(0)[None] % 2 * 200
    assert (image(checks.astype(np.float32), whole((16, 16)), (4, 4)) - 100).abs().max() < 10


def test_pictures_of_8_bits_lie_within_one_level_of_pillows():
    for seed in range(20):
        rows, columns = np.random.default_rng(seed).integers(2, 60, 2).tolist()
        array = values((3, rows, columns), seed=seed)
        theirs = np.asarray(Image.fromarray(array.transpose(1, 2, 0)).resize((9, 13), Image.Resampling.BILINEAR))
        ours = image(array, whole((rows, columns)), (13, 9)).permute(1, 2, 0).int()
        assert (ours - torch.from_numpy(theirs.astype(np.int32))).abs().max() <= 1


def test_a_single_column_is_resized():
    column = np.linspace(0, 1, 12, dtype=np.float32)[None, :, None]
    assert image(column, whole((12, 1)), (5, 1))[0, :, 0].equal(image(column[..., 0], whole((12,)), (5,))[0])


def test_a_fast_wave_does_not_alias_into_a_slow_one():
    wave = np.sin(np.arange(512) / 512 * 2 * np.pi * 200).astype(np.float32)[None]
    assert float(image(wave, whole((512,)), (64,)).std()) < 0.03
    slow = np.sin(np.arange(512) / 512 * 2 * np.pi * 2).astype(np.float32)[None]
    assert float(image(slow, whole((512,)), (64,)).std()) == pytest.approx(0.5**0.5, abs=0.02)


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_any_number_of_axes_is_resized_each_by_itself(shape, size):
    axis = len(shape) - 1
    ramp = np.broadcast_to(np.linspace(0, 1, shape[axis], dtype=np.float32), (2, *shape))
    out = image(ramp, whole(shape), size)
    assert out.shape == (2, *size)
    alone = image(ramp[(0, *[0] * axis)][None], whole(shape[axis:]), size[axis:])[0]
    assert torch.allclose(out, alone.expand(out.shape), atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.uint8, torch.uint8),
        (np.int16, torch.int16),
        (np.uint16, torch.int32),
        (np.int32, torch.int32),
        (np.float32, torch.float32),
    ],
)
@pytest.mark.parametrize("size", [(4, 4), (3, 3)])
def test_resizing_keeps_the_dtype_and_stays_within_its_range(dtype, expected, size):
    array = np.zeros((1, 4, 4), dtype)
    array[:, :2] = 255
    out = image(array, whole((4, 4)), size)
    assert out.dtype == expected
    assert (int(out.min()), int(out.max())) == (0, 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_a_large_sample_is_resized_in_parts_to_the_same_numbers(dtype, shape, size, monkeypatch):
    array = values((3, *shape), dtype)
    at_once = image(array, whole(shape), size)
    monkeypatch.setattr(fits, "BAND", 1)
    assert image(array, whole(shape), size).equal(at_once)


@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_samples_of_one_size_are_fitted_together_as_each_by_itself(shape, size):
    samples = [
        {"image": values((2, *shape), seed=i), "mask": values(shape, seed=i), "label": np.int64(i)} for i in range(4)
    ]
    together = {name: torch.stack([as_tensor(sample[name]) for sample in samples]) for name in samples[0]}
    made = fit_alike(together, whole(shape), size)
    for i, sample in enumerate(samples):
        alone = fit(sample, whole(shape), size)
        assert all(made[name][i].equal(alone[name]) for name in sample)


def test_outside_a_sample_is_0_and_its_mask_is_void_of_any_dtype():
    sample = {"image": np.full((1, 2, 2), 9, np.uint8), "mask": np.full((2, 2), 700, np.int32)}
    out = fit(sample, Box((-1, 0), (4, 3)), (4, 3), void=-1)
    inside = torch.zeros(4, 3, dtype=torch.bool)
    inside[1:3, :2] = True
    assert out["image"][0].eq(torch.where(inside, 9, 0)).all()
    assert out["mask"].eq(torch.where(inside, 700, -1)).all()


def test_a_mask_takes_the_cell_in_which_the_middle_of_the_new_one_lies():
    mask = np.array([[0, 0, 3, 3, 255, 255, 1, 1]], np.uint8)
    sample = {"image": mask[None], "mask": mask}
    assert fit(sample, whole((1, 8)), (1, 4))["mask"].tolist() == [[0, 3, 255, 1]]
    assert fit(sample, Box((0, 2), (1, 4)), (2, 8))["mask"].tolist() == [[3, 3, 3, 3, 255, 255, 255, 255]] * 2


@pytest.mark.parametrize("size", [20, 180])
def test_a_resized_mask_does_not_shift_against_its_picture(size):
    columns = np.tile(np.arange(60, dtype=np.uint8), (60, 1))
    out = fit({"image": 4 * columns[None], "mask": columns}, whole((60, 60)), (size, size))
    apart = out["image"][0].float() / 4 - out["mask"]
    assert apart.abs().max() <= 0.5
    assert float(apart.mean()) == pytest.approx(0, abs=0.05)


def missing_cells():
    array = np.array([[1.0, np.nan, 3.0, 5.0, np.nan, np.nan, np.nan, 8.0]], np.float32)
    return {"image": array, "valid": np.array([1, 1, 1, 0, 1, 1, 1, 1], bool)}


def test_what_is_nan_or_not_valid_is_missing():
    out = fit(missing_cells(), whole((8,)), (8,), missing=True)
    assert out["valid"].tolist() == [[True, False, True, False, False, False, False, True]]
    assert out["image"].tolist() == [[1, 0, 3, 0, 0, 0, 0, 8]]


def test_resizing_takes_the_mean_of_the_cells_that_exist():
    level = {"image": np.where(np.isnan(missing_cells()["image"]), np.nan, 4.0).astype(np.float32)}
    out = fit(level, whole((8,)), (4,), missing=True)
    assert out["image"][out["valid"]].unique().tolist() == [4.0]
    assert out["valid"].tolist() == [[True, True, False, False]]


@pytest.mark.parametrize("value", [np.nan, 1e30, -7.0])
def test_the_value_of_a_missing_cell_changes_nothing(value):
    sample = missing_cells()
    changed = {"image": sample["image"].copy(), "valid": sample["valid"]}
    changed["image"][0, 3] = value
    for size in (8, 5):
        one, other = (fit(each, whole((8,)), (size,), missing=True) for each in (sample, changed))
        assert all(one[name].equal(other[name]) for name in one)


def test_what_a_padded_sample_lacks_is_missing():
    out = fit({"image": np.ones((2, 3), np.int16)}, Box((0,), (5,)), (5,), missing=True)
    assert out["valid"].tolist() == [[True, True, True, False, False]] * 2


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.float32])
@pytest.mark.parametrize(("shape", "size"), SHAPES)
def test_a_batch_on_a_device_is_fitted_as_each_sample_by_itself(shape, size, dtype):
    """Within one level of an integer, and rounding of a float."""
    rng = np.random.default_rng(0)
    batch = {
        "image": torch.from_numpy(values((20, 3, *shape))).to(dtype) * (200 if dtype == torch.int32 else 1),
        "mask": torch.from_numpy(values((20, *shape))),
    }
    boxes = []
    for _ in range(20):
        lengths = tuple(int(rng.integers(1, 2 * length)) for length in shape)
        starts = tuple(
            int(rng.integers(min(0, length - part), max(0, length - part) + 1))
            for length, part in zip(shape, lengths, strict=True)
        )
        boxes.append(Box(starts, lengths))
    together = fit_batch(batch, boxes, size, 255)
    for i, box in enumerate(boxes):
        alone = fit_alike({name: tensor[i] for name, tensor in batch.items()}, box, size)
        assert together["mask"][i].equal(alone["mask"])
        apart = (together["image"][i].double() - alone["image"].double()).abs().max()
        exact = dtype == torch.uint8 and len(shape) == 2 and box.lengths[1] > 1
        assert apart <= (0 if exact else 1e-3 if dtype == torch.float32 else 1)
